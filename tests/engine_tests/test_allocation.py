"""Memory after the warm-up: a request takes what the one before it took, and keeps what is stored and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from runners.base import Request
from runners.engine.engine import Engine
from runners.engine.graphs.arena import LARGEST, Arena
from runners.engine.graphs.graphs import Graphs
from runners.engine.kv.workspace import Workspace
from runners.engine.store.stores import DEVICE
from runners.models.load import load_model, resolve_model
from runners.records import Status

RUNNERS = ("full", "prefix-cache", "full-reuse", "vlcache-paper")
BUDGET = 1 << 28


class Allocations(TorchDispatchMode):
    """Notes the memory of every tensor that does not share that of an operation's arguments.

    Attributes:
        sizes: in bytes.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sizes: list[int] = []
        self._memory: list[StorageWeakRef] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        given = {tensor.untyped_storage()._cdata for tensor in _tensors((args, kwargs))}
        for tensor in _tensors(out):
            storage = tensor.untyped_storage()
            if storage._cdata not in given:
                self.sizes.append(storage.nbytes())
                self._memory.append(StorageWeakRef(storage))
        return out

    def kept(self) -> int:
        """Bytes that are still held."""
        return sum(size for size, memory in zip(self.sizes, self._memory, strict=True) if not memory.expired())


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def requests(lab: Any) -> list[Request]:
    """Two that fill the stores, then three of equal sizes about the same pictures in another order and text."""
    a, b = lab.picture(0, rows=9), lab.picture(1, rows=7)
    return [lab.ask("x", a, "?"), lab.ask("x", b, "?"), *(lab.ask(first, b, a, "?") for first in ("1", "2", "3"))]


def answered(engine: Engine, request: Request) -> None:
    assert engine.answer(request).status is Status.OK


@pytest.mark.parametrize("name", RUNNERS)
def test_a_request_takes_what_the_one_before_it_took_and_keeps_what_is_stored(
    lab_of: Callable[[str], Any], name: str
) -> None:
    lab = lab_of("qwen3_vl")
    engine = Engine(lab.adapter, Workspace(lab.adapter.kv_shape), lab.method(name, recompute_ratio=0.2), BUDGET)
    *before, second, third = requests(lab)
    for request in before:
        answered(engine, request)
    taken = []
    for request in (second, third):
        stored = engine._stores.tiers.nbytes(DEVICE)
        with Allocations() as allocations:
            answered(engine, request)
        taken.append(allocations.sizes)
        assert allocations.kept() == engine._stores.tiers.nbytes(DEVICE) - stored
    assert taken[0] == taken[1]


def test_recordings_are_part_of_the_peak(lab_of: Callable[[str], Any]) -> None:
    lab = lab_of("qwen3_vl")
    pool = SimpleNamespace(nbytes=0, record=lambda work, tensors: partial(work, *tensors))
    graphs = Graphs(lambda: pool, Arena(lab.adapter))
    engine = Engine(lab.adapter, Workspace(lab.adapter.kv_shape, graphs), lab.method("full-reuse"), BUDGET)
    for request in requests(lab):
        answered(engine, request)
    assert len(graphs) > 0
    without = engine._allocated()
    assert graphs.nbytes == graphs.arena.nbytes > lab.adapter.shape.hidden * LARGEST * 4
    pool.nbytes = 1 << 40
    assert engine._allocated() - without == graphs.nbytes - graphs.arena.nbytes == 1 << 40
    graphs.clear()
    assert engine._allocated() == without, "what is dropped is held no longer"


@pytest.mark.gpu
@pytest.mark.parametrize("name", RUNNERS)
def test_nothing_is_asked_of_the_driver_after_the_warm_up(lab_of: Callable[[str], Any], name: str) -> None:
    lab = lab_of("qwen3_vl")
    model = load_model("builtin", resolve_model("builtin"), "bfloat16", "cuda")
    engine = Engine(model.adapter, model.workspace, lab.method(name, recompute_ratio=0.2), BUDGET)
    asked = []
    for _ in ("memory grows", "all is recorded", "nothing is new"):
        engine.reset()
        for request in requests(lab):
            answered(engine, request)
        asked.append(torch.cuda.memory_stats()["segment.all.allocated"])
    assert asked[2] == asked[1]
