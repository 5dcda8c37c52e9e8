"""A runner made of the built-in engine and one method."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from runners.base import Request, Response
from runners.engine.engine import Engine
from runners.models.load import LoadedModel
from runners.registry import RunnerSpec, load_method, source_of


class LocalRunner:
    """See ``Runner``."""

    def __init__(self, spec: RunnerSpec, model: LoadedModel) -> None:
        self._spec = _unstopped(spec) if model.random_weights else spec
        self._method = load_method(self._spec)
        self._engine = Engine(
            model.adapter, self._method, spec.budget_bytes, spec.strict_reuse, model.profile, spec.host_budget_bytes
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
            "options": dict(self._spec.options),
            "budget_bytes": self._spec.budget_bytes,
            "host_budget_bytes": self._spec.host_budget_bytes,
        }


def _unstopped(spec: RunnerSpec) -> RunnerSpec:
    """A spec whose method does not stop early where values happen to agree: with random weights they tell nothing."""
    return replace(spec, options={**spec.options, "tolerance": 0.0}) if "tolerance" in spec.options else spec


def build_runner(spec: RunnerSpec, model: LoadedModel) -> LocalRunner:
    """The runner a spec asks for."""
    return LocalRunner(spec, model)
