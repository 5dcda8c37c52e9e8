"""``vlcache``: our method: reuse that estimates its risk in every request, and repairs as much as that takes.

Every medium is stored in the same context, the chat template, so that a stored token says nothing of other pictures.
One pass of the text over the reused keys and values answers as blind reuse does, and shows what the question reads.
From these signals the model's risk model estimates how likely the answer changes at each level of repair, and the
cheapest level is chosen whose risk is below a calibrated threshold (``runners.risk``): nothing, and then the pass is
the answer; the best ranked tokens; or everything, which is lossless. Behind new media some tokens are always repaired.
Every token of the answer is watched: where the two best are nearer to each other than a calibrated margin, everything
is computed before one of them is given.
Nothing is chosen for a model that was not calibrated: there it computes everything, or as many of the best ranked
tokens as ``ratio`` allows.

Tokens are ranked by what they write to the question at most, times a coefficient of their medium (after CONDUIT, arXiv
2609.05821), which finds what matters where change is spread over all tokens; and, unless that alone was found to be
better for the model, in turn by the root of attention times drift, which finds the few that changed (docs/method.md).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from runners.defaults import DonorPolicy, from_setting
from runners.engine.method import PlanContext
from runners.engine.plan import Plan
from runners.methods.parts.drift import drift_scores
from runners.methods.parts.image_coefficient import image_coefficients
from runners.methods.parts.reuse import ReuseMethod
from runners.methods.parts.scoring_pass import required_before_question
from runners.methods.parts.signals import SIGNALS, read_signals
from runners.methods.parts.text_pass import TextPass, run_text_pass
from runners.profile import ModelProfile, default_probe_layers
from runners.records import Repair
from runners.risk.model import DEFAULT_RANKING, EVERYTHING, Ranking, RiskModel
from workloads.errors import UsageError

AUTO = "auto"
SHORTLIST = 4  # times the tokens to compute are probed for drift
FEW = 4  # reusable tokens are few when the others to compute are so many times as many
UNTOLD = 0.05  # of the vision tokens, where answers mean nothing and no risk can be estimated


@dataclass(frozen=True)
class VLCache(ReuseMethod):
    """Reuse what is harmless, repair what is at risk, by a calibrated estimate in every request.

    Options:
        risk: share of answers that may change, for requests like those that the model was calibrated on.
        ratio: a budget: no request computes a larger share of the vision tokens, whatever the risk.
        share: compute this share of the vision tokens, the best ranked first, in every request; ``auto``: as the risk
            takes.
        ranking: ``written``, ``written+drift``, or ``auto``, which takes what was fitted to the model, or else both;
            a calibration counts for the ranking that it was made with.
        probe: layers probed for drift, as in ``0+1``; ``auto`` takes those measured for the model, or else those of
            ``runners.profile.default_probe_layers``.
        donor: ``template`` unless told otherwise; a calibration counts for the donor policy that it was made with.
    """

    risk: float = from_setting("risk")
    ratio: float = from_setting("recompute_ratio", EVERYTHING)
    share: str = AUTO
    ranking: Literal["auto", "written", "written+drift"] = "auto"
    probe: str = AUTO
    donor: DonorPolicy = from_setting("donor", "template")

    def __post_init__(self) -> None:
        if not 0 < self.risk < 1:
            raise ValueError(f"risk must be between 0 and 1, not {self.risk}")
        if not 0 <= self.ratio <= 1:
            raise ValueError(f"ratio must be between 0 and 1, not {self.ratio}")
        if self.probe != AUTO and not re.fullmatch(r"\d+(\+\d+)*", self.probe):
            raise ValueError(f"probe must be '{AUTO}' or layers such as 0+1, not '{self.probe}'")
        if self.share != AUTO and not (re.fullmatch(r"\d*\.?\d+", self.share) and float(self.share) <= 1):
            raise ValueError(f"share must be '{AUTO}' or a number from 0 to 1, not '{self.share}'")

    @property
    def promised_risk(self) -> float | None:
        """See ``Method``. Nothing is promised where the budget or a given share decides."""
        return self.risk if self.share == AUTO and self.ratio == EVERYTHING else None

    def for_random_weights(self) -> VLCache:
        """See ``Method``."""
        return self if self.share != AUTO else replace(self, share=f"{min(self.ratio, UNTOLD):f}")

    def probe_layers(self, layers: int, profile: ModelProfile) -> tuple[int, ...]:
        """See ``Method``. The last layer is never probed: it has no queries of media tokens.

        Raises:
            UsageError: the model has no such layers, or its risk was calibrated with other signals.
        """
        if self.share == AUTO and profile.risk is not None and profile.risk.signals != SIGNALS:
            raise UsageError(
                "the model's risk was calibrated with other signals than this version reads: calibrate again with "
                "vlcache profile, or give a share=, which needs no estimate"
            )
        if self.resolved_ranking(profile) == "written":
            if self.probe != AUTO:
                raise UsageError(
                    f"probe={self.probe}: tokens are ranked by written, which probes nothing; add "
                    "ranking=written+drift, for which the model was not calibrated"
                )
            return ()
        if self.probe == AUTO:
            return profile.probe_layers or default_probe_layers(layers)
        chosen = tuple(sorted({int(layer) for layer in self.probe.split("+")}))
        if chosen[-1] >= layers - 1:
            raise UsageError(f"probe={self.probe}: the model's layers that can be probed are 0 to {layers - 2}")
        return chosen

    def risk_model(self, profile: ModelProfile) -> RiskModel | None:
        """Return what the model was calibrated with, if media were stored and tokens ranked there as here."""
        risk = profile.risk
        counts = risk is not None and risk.donor == self.donor and self.ranking in ("auto", risk.ranking)
        return risk if counts else None

    def resolved_ranking(self, profile: ModelProfile) -> Ranking:
        """Return the ranking that was asked for, or that was fitted to the model."""
        if self.ranking != "auto":
            return self.ranking
        risk = self.risk_model(profile)
        return DEFAULT_RANKING if risk is None else risk.ranking

    def plan(self, context: PlanContext) -> Plan:
        """See ``Method``."""
        candidates, risk = context.candidates(), self.risk_model(context.profile)
        if not len(candidates) or self.takes_exact_path(context):
            return Plan(context.compute(candidates))
        if self.share != AUTO or risk is None:
            return self._plan_share(context, self.ratio if self.share == AUTO else float(self.share))
        watches = self.ratio == EVERYTHING
        if watches and risk.kept_promise(self.risk) is None:
            return Plan(context.compute(candidates), repair=Repair(EVERYTHING, 0.0))
        if watches and not context.looks_pay:
            return Plan(context.compute(candidates), repair=Repair(EVERYTHING, 0.0, skipped=True))
        text = run_text_pass(context)
        repair = risk.choose(read_signals(context, text), self.risk, is_behind_new_media(context))
        if repair.share > self.ratio:
            repair = replace(repair, share=self.ratio, risk=None)
        plan = plan_repair(context, text, repair, self.donor, self.resolved_ranking(context.profile))
        is_watched = watches and plan.repair is not None and context.budget(plan.repair.share) < len(candidates)
        return replace(plan, least_margin=risk.least_margin) if is_watched else plan

    def _plan_share(self, context: PlanContext, share: float) -> Plan:
        """Plan to compute a share of the vision tokens that no estimate chose, and look only if it is some of them."""
        count, candidates = context.budget(share), context.candidates()
        if count == len(candidates):
            return Plan(context.compute(candidates), repair=Repair(EVERYTHING, 0.0))
        if count == 0:
            return Plan(context.required, repair=Repair(0.0, None))
        ranking = self.resolved_ranking(context.profile)
        return plan_repair(context, run_text_pass(context), Repair(share, None), self.donor, ranking)

    def takes_exact_path(self, context: PlanContext) -> bool:
        """Whether computing everything is no dearer than choosing: most of it is to be computed in any case."""
        few = FEW * len(context.candidates()) <= int((context.required > 0).sum())
        return few and self.share == AUTO and self.ratio == EVERYTHING


def is_behind_new_media(context: PlanContext) -> bool:
    """Whether a reused token stands behind a medium that no store knows, and could be told something by it."""
    last = context.reusable[-1].start
    return any(
        bool(context.required[part.start : part.end].any()) for part in context.layout.segments if part.start < last
    )


def plan_repair(context: PlanContext, text: TextPass, repair: Repair, donor: DonorPolicy, ranking: Ranking) -> Plan:
    """Plan a level of repair after the text pass, whose answer stands where nothing is to be computed.

    What the pass computed before the question stays. Where a share that an estimate asks for comes to no token at all,
    there are few: all are computed.
    """
    count = context.budget(repair.share)
    if count == 0 and repair.share > 0 and repair.risk is not None:
        repair, count = replace(repair, share=EVERYTHING), len(context.candidates())
    if count == 0:
        return Plan(context.required, rehearsed=context.required > 0, answer=text.answer, repair=repair)
    chosen = context.candidates()
    if count == len(chosen):
        return Plan(context.compute(chosen), rehearsed=_before_reuse(context), repair=repair)
    chosen = chosen[rank(context, text, count, ranking)[:count]]
    return Plan(context.compute(chosen), rehearsed=required_before_question(context, donor), repair=repair)


def _before_reuse(context: PlanContext) -> Tensor:
    """Find the text before the first reused medium, which is exact as the text pass computed it: ``(tokens,)`` bool.

    Not new media there: only what is computed last is stored.
    """
    exact = required_before_question(context, "previous")
    exact[context.reusable[0].start :] = False
    return exact


def rank(context: PlanContext, text: TextPass, count: int, ranking: Ranking) -> Tensor:
    """Order the candidates by what they write to the question, and in turn by what changed in them: ``(candidates,)``.

    Args:
        count: how many are to be computed; drift is looked for among ``SHORTLIST`` times as many.
    """
    written = text.written.cpu() * image_coefficients(context, text.written.cpu())
    if ranking == "written":
        return written.argsort(descending=True, stable=True)
    attention = text.attention.mean(dim=0).cpu()
    shortlist = attention.topk(min(len(attention), SHORTLIST * count)).indices.sort().values
    changed = torch.zeros_like(attention)
    changed[shortlist] = attention[shortlist].sqrt() * drift_scores(context, shortlist)
    places = torch.minimum(_places(written), _places(changed))
    return places.argsort(stable=True)


def _places(scores: Tensor) -> Tensor:
    """Find every token's place when they are sorted by falling score, ``(tokens,)``."""
    places = torch.empty(len(scores), dtype=torch.int64)
    places[scores.argsort(descending=True, stable=True)] = torch.arange(len(scores))
    return places
