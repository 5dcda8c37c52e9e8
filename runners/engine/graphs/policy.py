"""The conditions for recording: device, attention backend and kind of layer."""

from __future__ import annotations

from functools import partial

from runners.engine.adapters.base import Adapter
from runners.engine.graphs.arena import Arena
from runners.engine.graphs.graphs import Graphs
from runners.engine.graphs.recorder import CudaRecorder


def obstacle(adapter: Adapter) -> str | None:
    """Say why nothing is recorded for a model; None where work is recorded."""
    if adapter.device.type != "cuda":
        return "recording needs a CUDA device"
    if not adapter.attention.recordable:
        return f"attention by '{adapter.attention.name}' cannot be recorded"
    if adapter.shape.parts > 1:
        return "processes that share a model wait for each other in every layer"
    if adapter.shape.experts:
        return "layers with experts launch what their tokens choose"
    return None


def graphs_of(adapter: Adapter) -> Graphs | None:
    """Make an empty set of recordings for a model; None where there is an ``obstacle``."""
    return None if obstacle(adapter) else Graphs(partial(CudaRecorder, adapter.device), Arena(adapter))
