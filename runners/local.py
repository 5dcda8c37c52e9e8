"""Runs one method in the built-in engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runners.base import Request, Response
from runners.engine.adoption import Pool
from runners.engine.engine import Engine
from runners.models.load import LoadedModel
from runners.registry import RunnerSpec, load_method, source_of


class LocalRunner:
    """See ``Runner``; ``pool`` and ``adopts`` as of ``Engine``."""

    def __init__(self, spec: RunnerSpec, model: LoadedModel, pool: Pool | None = None, adopts: bool = True) -> None:
        asked = load_method(spec)
        self._spec = spec
        self._method = asked.for_random_weights() if model.random_weights else asked
        self._engine = Engine(
            model.adapter,
            model.workspace,
            self._method,
            spec.budget_bytes,
            strict=spec.strict_reuse,
            profile=model.profile,
            host_budget=spec.host_budget_bytes,
            pool=pool,
            adopts=adopts,
        )

    @property
    def label(self) -> str:
        """See ``Runner``."""
        return self._spec.label

    def answer(self, request: Request) -> Response:
        """See ``Runner``."""
        return self._engine.answer(request)

    def reset(self) -> None:
        """See ``Runner``."""
        self._engine.reset()

    def describe(self) -> dict[str, Any]:
        """See ``Runner``."""
        return {
            "label": self._spec.label,
            "method": self._spec.method,
            **source_of(self._spec),
            "lossless": self._method.lossless,
            "analysis_only": self._method.analysis_only,
            "reuses": self._method.reuses,
            "promised_risk": self._method.promised_risk,
            "options": {name: getattr(self._method, name) for name in self._spec.options},
            "budget_bytes": self._spec.budget_bytes,
            "host_budget_bytes": self._spec.host_budget_bytes,
        }


def build_runner(spec: RunnerSpec, model: LoadedModel, pool: Pool | None = None, adopts: bool = True) -> LocalRunner:
    """Build the runner of a spec; see ``LocalRunner``."""
    return LocalRunner(spec, model, pool, adopts)


def build_runners(specs: Sequence[RunnerSpec], model: LoadedModel, reference: str, adopt: bool) -> list[LocalRunner]:
    """Build the runners of a run. If they ``adopt``, all but the reference take over what another computed alike."""
    pool = Pool() if adopt else None
    return [build_runner(spec, model, pool, adopts=spec.label != reference) for spec in specs]
