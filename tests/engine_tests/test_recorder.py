"""The recorder of CUDA graphs, on a CPU: what its recordings hold is counted as torch hands memory out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch

from runners.engine.graphs.recorder import CudaRecorder


def test_memory_that_a_capture_gives_back_is_not_taken_for_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a capture begins, torch gives unused memory back to the driver (``torch.cuda.graph``)."""
    reserved, unused = [1000], [600]

    class Graph:
        def replay(self) -> None: ...

    @contextmanager
    def capture(graph: Graph, pool: object) -> Iterator[None]:
        reserved[0] -= unused[0]
        unused[0] = 0
        yield

    def work(*_: Any) -> None:
        reserved[0] += 200

    monkeypatch.setattr(torch.cuda, "graph_pool_handle", object)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    monkeypatch.setattr(torch.cuda, "device", nullcontext)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: reserved[0])
    recorder = CudaRecorder(torch.device("cuda"))
    recorder.record(work, ())
    assert recorder.nbytes == 200
    recorder.record(lambda: None, ())
    assert recorder.nbytes == 200, "all share one pool"
