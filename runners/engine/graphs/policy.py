"""Where work is recorded, and why not elsewhere."""

from __future__ import annotations

from functools import partial

from runners.engine.adapters.base import Adapter
from runners.engine.graphs.arena import Arena
from runners.engine.graphs.graphs import Graphs
from runners.engine.graphs.recorder import CudaRecorder


def obstacle(adapter: Adapter) -> str | None:
    """Why nothing is recorded for a model as it is; None where it is."""
    if adapter.device.type != "cuda":
        return "recording needs a CUDA device"
    if not adapter.attention.recordable:
        return f"attention by '{adapter.attention.name}' cannot be recorded"
    if adapter.shape.experts:
        return "layers with experts launch what their tokens choose"
    return None


def graphs_of(adapter: Adapter) -> Graphs | None:
    """Recordings for a model, none made yet; None where there is an ``obstacle``."""
    return None if obstacle(adapter) else Graphs(partial(CudaRecorder, adapter.device), Arena(adapter))
