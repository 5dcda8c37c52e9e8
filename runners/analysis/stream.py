"""Serves a stream through one observed method and yields its warm requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runners.analysis.observe import Observer, Seen
from runners.base import Request, Response
from runners.engine.engine import Engine
from runners.models.load import LoadedModel
from runners.records import Record, Status, Warmth
from runners.registry import RunnerSpec, load_method
from runners.session import SessionOptions, serve
from workloads.records import Conversation


class ObservedRunner:
    """See ``Runner``. After an answer, ``last`` is the response and what was seen of the request."""

    def __init__(self, spec: RunnerSpec, model: LoadedModel) -> None:
        self._spec = spec
        self._observer = Observer(load_method(spec), spec.budget_bytes)
        method = self._observer.method
        self._engine = Engine(model.adapter, model.workspace, method, spec.budget_bytes, profile=model.profile)
        self.last: tuple[Response, Seen | None] | None = None

    @property
    def label(self) -> str:
        """See ``Runner``."""
        return self._spec.label

    def answer(self, request: Request) -> Response:
        """See ``Runner``."""
        response = self._engine.answer(request)
        if response.status is Status.OK:
            self._observer.keep_donors()
        self.last = response, self._observer.seen
        return response

    def reset(self) -> None:
        """See ``Runner``."""
        self._engine.reset()
        self._observer.forget()

    def describe(self) -> dict[str, Any]:
        """See ``Runner``."""
        return {"label": self._spec.label, "method": self._spec.method, "options": dict(self._spec.options)}


@dataclass(frozen=True)
class WarmAnswer:
    """A warm request that was answered: what was seen, and the first token's logits, ``(vocabulary,)``."""

    record: Record
    seen: Seen
    logits: NDArray[np.float32]


def warm_answers(
    workload: str, conversations: Sequence[Conversation], runner: ObservedRunner
) -> Iterator[tuple[Record, WarmAnswer | None]]:
    """Answer every request, with nothing stored at the beginning; None where there is nothing to measure."""
    runner.reset()
    options = SessionOptions(reference=runner.label, seed=0, max_new_tokens=1, warmup=0)
    for record in serve(workload, conversations, [runner], options, {}):
        assert runner.last is not None
        response, seen = runner.last
        answered = record.warmth is Warmth.WARM and response.status is Status.OK
        if answered and seen is not None and response.first_logits is not None:
            yield record, WarmAnswer(record, seen, response.first_logits)
        else:
            yield record, None
