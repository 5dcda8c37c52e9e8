"""Records work on tensors that stay where they are, to be launched again as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch

Work = Callable[..., None]
"""Reads and writes the tensors that it is given; nothing but its launches may depend on anything on the host."""
Replay = Callable[[], None]


class Recorder(Protocol):
    """Makes recordings that are never replayed at the same time."""

    def record(self, work: Work, tensors: tuple[Any, ...]) -> Replay:
        """Record ``work(*tensors)``; what is returned does the same again with what the tensors then hold.

        The tensors come one by one or in named tuples. The work was done before with the same ones.
        """
        ...


class CudaRecorder:
    """Captures CUDA graphs (torch 2.13, ``torch.cuda.graph``); all share the memory for what lies between."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, work: Work, tensors: tuple[Any, ...]) -> Replay:
        """See ``Recorder``. Nothing is computed while recording."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self._device), torch.cuda.graph(graph, pool=self._pool):
            work(*tensors)
        replay: Replay = graph.replay
        return replay
