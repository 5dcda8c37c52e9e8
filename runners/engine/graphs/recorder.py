"""Recording of work on tensors at fixed addresses, to be launched again as one CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch

Work = Callable[..., None]
"""A function of tensors that reads and writes only these; its launches must not depend on values of a tensor."""
Replay = Callable[[], None]


class Recorder(Protocol):
    """Makes recordings; no two of them are replayed at the same time.

    Attributes:
        nbytes: memory that the recordings share for intermediate results, which they hold until they are dropped.
    """

    nbytes: int

    def record(self, work: Work, tensors: tuple[Any, ...]) -> Replay:
        """Record ``work(*tensors)``; calling the result repeats it on the values that the tensors have then.

        Tensors come one by one or in named tuples. The work was run eagerly before, with the same ones.
        """
        ...


class CudaRecorder:
    """Captures CUDA graphs (torch 2.13, ``torch.cuda.graph``), which share one memory pool for intermediate results."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()
        self.nbytes = 0

    def record(self, work: Work, tensors: tuple[Any, ...]) -> Replay:
        """See ``Recorder``. A capture computes nothing; what it takes from the driver is the pool's.

        When a capture begins, torch gives unused memory back to the driver: the count begins after that.
        """
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self._device), torch.cuda.graph(graph, pool=self._pool):
            before = torch.cuda.memory_reserved(self._device)
            work(*tensors)
        self.nbytes += max(0, torch.cuda.memory_reserved(self._device) - before)
        replay: Replay = graph.replay
        return replay
