"""Runs one method in the built-in engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from runners.engine.adoption import Pool
from runners.engine.engine import Engine
from runners.engine.method import Method
from runners.engine.store.disk.codec import EntrySizes
from runners.engine.store.disk.file import About
from runners.engine.store.disk.settings import scope_of
from runners.engine.store.disk.store import DiskStore
from runners.engine.store.disk.tier import DiskTier
from runners.engine.store.symbols import SymbolTable
from runners.engine_runner import EngineRunner
from runners.models.load import LoadedModel
from runners.registry import RunnerSpec, load_method, source_of


class LocalRunner(EngineRunner):
    """See ``Runner``; ``pool`` and ``adopts`` as of ``Engine``, ``disk`` the disk tier of the process."""

    def __init__(
        self,
        spec: RunnerSpec,
        model: LoadedModel,
        pool: Pool | None = None,
        adopts: bool = True,
        disk: DiskStore | None = None,
    ) -> None:
        asked = load_method(spec)
        self._spec = spec
        self._method = asked.for_random_weights() if model.random_weights else asked
        engine = Engine(
            model.adapter,
            model.workspace,
            self._method,
            spec.budget_bytes,
            strict=spec.strict_reuse,
            profile=model.profile,
            host_budget=spec.host_budget_bytes,
            disk=None if disk is None or not self._method.reuses else partial(_open, disk, spec, model, self._method),
            packs=spec.store_dtype == "int8",
            pool=pool,
            adopts=adopts,
        )
        super().__init__(engine)

    @property
    def label(self) -> str:
        """See ``Runner``."""
        return self._spec.label

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


def build_runner(
    spec: RunnerSpec,
    model: LoadedModel,
    pool: Pool | None = None,
    adopts: bool = True,
    disk: DiskStore | None = None,
) -> LocalRunner:
    """Build the runner of a spec; see ``LocalRunner``."""
    return LocalRunner(spec, model, pool, adopts, disk)


def build_runners(
    specs: Sequence[RunnerSpec], model: LoadedModel, reference: str, adopt: bool, disk: DiskStore | None = None
) -> list[LocalRunner]:
    """Build the runners of a run. If they ``adopt``, all but the reference take over what another computed alike.

    Args:
        disk: the disk tier of the process, in which every runner has a scope of its own; None for none.
    """
    pool = Pool() if adopt else None
    return [build_runner(spec, model, pool, spec.label != reference, disk) for spec in specs]


def _open(
    disk: DiskStore,
    spec: RunnerSpec,
    model: LoadedModel,
    method: Method,
    symbols: SymbolTable,
    probes: tuple[int, ...],
    sketch: int,
) -> DiskTier:
    """Open the disk tier of a runner. Its entries are valid for this runner and everything that they depend on."""
    adapter = model.adapter
    identity = {
        "namespace": disk.settings.namespace,
        "model": model.fingerprint,
        "processor": adapter.processor_fingerprint(),
        "dtype": str(adapter.dtype),
        "device": adapter.device.type,
        "attention": adapter.attention.name,
        "runner": spec.label,
        "method": spec.method,
        "options": asdict(method),
        **source_of(spec),
        "probes": probes,
        "sketch": sketch,
        "store_dtype": spec.store_dtype,
    }
    shape = adapter.shape
    sizes = EntrySizes(
        layers=shape.layers,
        kv_heads=shape.own_kv_heads,
        head_dim=shape.head_dim,
        dtype=adapter.dtype,
        features=(1 + shape.deepstack) * shape.hidden,
        heads=shape.own_heads,
        probes=len(probes),
        sketch=sketch,
        media_tokens=adapter.media_tokens,
        context=shape.context,
        packs=spec.store_dtype == "int8",
    )
    about = About(disk.settings.namespace, model.name, spec.label, created=0.0)
    return DiskTier(disk, scope_of(identity), about, sizes, symbols, pin=adapter.device.type == "cuda")
