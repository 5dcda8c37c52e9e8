"""Assess warm requests for the calibration of a risk model: their signals, and at which levels the answer changes.

An answer counts as changed when it is neither that of full recomputation nor that of the same computation in chunks:
where the two differ, two tokens are so near that rounding alone decides, and either is as good (docs/method.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

from torch import Tensor

from runners.defaults import DonorPolicy
from runners.engine.chunks import prefill_in_chunks
from runners.engine.decode import decode, retrace
from runners.engine.engine import Engine
from runners.engine.forward.capture import Capture
from runners.engine.kv.buffer import KVBuffer
from runners.engine.method import PlanContext
from runners.engine.plan import Answer, Plan
from runners.engine.prefill import prefill
from runners.engine_runner import EngineRunner
from runners.methods.parts.signals import read_signals
from runners.methods.parts.text_pass import run_text_pass
from runners.methods.vlcache import VLCache, is_behind_new_media, plan_repair
from runners.models.load import LoadedModel
from runners.records import Record, Repair, Warmth
from runners.risk.model import RANKINGS, Ranking
from runners.risk.outcomes import CalibrationRequest, Outcome
from runners.session import SessionOptions, requests_of, serve, turns_of
from workloads.records import Conversation

LEVELS = (0.0, 0.03, 0.08, 0.2)
CHUNK = 64  # tokens, of the computation that shows what rounding alone changes


@dataclass(frozen=True)
class Assessed:
    """What was found out about one request; see ``CalibrationRequest``."""

    signals: tuple[float, ...]
    outcomes: dict[Ranking, dict[float, Outcome]]
    behind_new_media: bool


@dataclass(frozen=True)
class Assessing(VLCache):
    """Answers with everything computed, and assesses what less would have done.

    Attributes:
        limit: longest answer, in tokens.
        found: what was found out, by request.
    """

    limit: int = 1
    found: dict[str, Assessed] = field(default_factory=dict, compare=False)

    def plan(self, context: PlanContext) -> Plan:
        """See ``Method``."""
        everything = Plan(context.compute(context.candidates()))
        if self.takes_exact_path(context):
            return everything
        stored = context.kv.copy()
        text = run_text_pass(context)
        signals = read_signals(context, text)
        plans = {
            (ranking, share): plan_repair(context, text, Repair(share, None), self.donor, ranking)
            for share, ranking in product(LEVELS, RANKINGS)
        }
        over, capture = context.kv.copy(), Capture(context.probe_layers)
        result = context.rehearse(everything.depth, capture, to_head=True)
        right = [self._answer(context, context.kv, result.hidden)]
        outcomes: dict[Ranking, dict[float, Outcome]] = {ranking: {} for ranking in RANKINGS}
        for (ranking, share), plan in plans.items():
            if share == 0 and 0 in outcomes[RANKINGS[0]]:
                outcomes[ranking][share] = outcomes[RANKINGS[0]][share]
                continue
            kv = over.copy()
            answer = prefill(context.adapter, context.prompt, kv, plan) if plan.answer is None else plan.answer
            outcome = _compare(context, kv, answer.hidden, right)
            if outcome.changed and len(right) == 1:
                chunked = prefill_in_chunks(context.adapter, context.prompt, stored, everything, CHUNK)
                right.append(self._answer(context, stored, chunked.hidden))
                outcome = _compare(context, kv, answer.hidden, right)
            outcomes[ranking][share] = outcome
        self.found[context.request] = Assessed(signals, outcomes, is_behind_new_media(context))
        return replace(everything, answer=Answer(result.hidden, result.flops, capture))

    def _answer(self, context: PlanContext, kv: KVBuffer, hidden: Tensor) -> tuple[int, ...]:
        """Decode an answer behind the last token's final hidden state."""
        first = int(context.adapter.head(hidden)[0].argmax())
        return decode(context.adapter, context.prompt, kv, [first], self.limit).tokens


def _compare(context: PlanContext, kv: KVBuffer, hidden: Tensor, right: Sequence[tuple[int, ...]]) -> Outcome:
    """Say whether an answer is none of the ``right`` ones, and its smallest margin up to where it leaves the last."""
    logits = context.adapter.head(hidden)[0]
    found = [retrace(context.adapter, context.prompt, kv, logits, answer) for answer in right]
    same = [retraced for retraced, answer in zip(found, right, strict=True) if retraced.same == len(answer)]
    nearest = same[0] if same else max(found, key=lambda retraced: retraced.same)
    return Outcome(not same, min(nearest.margins))


class AssessingRunner(EngineRunner):
    """See ``Runner``: serves a stream and assesses its requests."""

    label = "assessing"

    def __init__(self, model: LoadedModel, budget: int, limit: int, donor: DonorPolicy) -> None:
        self._method = Assessing(limit=limit, donor=donor)
        super().__init__(Engine(model.adapter, model.workspace, self._method, budget, profile=model.profile))

    def take(self, request: str) -> Assessed | None:
        """Take what was found out about a request; None where there was nothing to decide."""
        return self._method.found.pop(request, None)

    def describe(self) -> dict[str, object]:
        """See ``Runner``."""
        return {"label": self.label}


def count_assessed(conversations: Sequence[Conversation], runner: AssessingRunner) -> int:
    """Count the requests that ``assess`` answers."""
    options = _options(runner, limit=1)
    return sum(options.asks(runner, item) for item in requests_of(turns_of(conversations)))


def _options(runner: AssessingRunner, limit: int) -> SessionOptions:
    return SessionOptions(runner.label, seed=0, max_new_tokens=limit, warmup=0, spares=runner.primes)


def assess(
    workload: str, conversations: Sequence[Conversation], runner: AssessingRunner, limit: int
) -> Iterator[tuple[Record, CalibrationRequest | None]]:
    """Answer requests; of the warm ones in which there was something to decide, yield also what was found out.

    Cold ones are answered where a reply or an exact prefix of theirs comes back, or where that stores what comes back;
    of the others the media are stored without an answer.

    Yields:
        the record, and the request for the calibration.
    """
    runner.reset()
    for record in serve(workload, conversations, [runner], _options(runner, limit), {}):
        found = runner.take(record.request)
        if found is None or record.warmth is Warmth.COLD:
            yield record, None
        else:
            case = f"{workload}/{record.cluster_id}"
            yield record, CalibrationRequest(workload, case, found.signals, found.outcomes, found.behind_new_media)
