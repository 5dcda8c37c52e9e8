"""Memory for the keys and values of one request at a time, allocated once and used again by the next."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from runners.engine.graphs.buckets import bucket
from runners.engine.kv.buffer import KVBuffer

if TYPE_CHECKING:
    from runners.engine.adapters.base import Adapter
    from runners.engine.graphs.graphs import Graphs


class Workspace:
    """What all runners of a model share; it grows with the longest request, and stays where it is until then.

    Attributes:
        graphs: recorded work on this memory; None where nothing is recorded.
    """

    def __init__(self, graphs: Graphs | None = None) -> None:
        self.graphs = graphs
        self._slab: Tensor | None = None

    def kv(self, adapter: Adapter, capacity: int) -> KVBuffer:
        """Undefined room for ``capacity`` tokens and at least one more; valid until the next call.

        Requests of equal room have it at the same addresses, until the memory grows.
        """
        shape = adapter.shape
        room = bucket(capacity + 1, adapter.attention.page)
        size = (2, shape.layers, shape.kv_heads, room, shape.head_dim)
        if self._slab is None or self._slab.numel() < prod(size):
            self.release()
            self._slab = torch.empty(prod(size), device=adapter.device, dtype=adapter.dtype)
        k, v = self._slab[: prod(size)].view(size)
        return KVBuffer(k, v, self.graphs)

    def release(self) -> None:
        """Give the memory back, and forget what was recorded on it."""
        if self.graphs is not None:
            self.graphs.clear()
        self._slab = None

    @property
    def nbytes(self) -> int:
        """Bytes held from request to request."""
        return 0 if self._slab is None else self._slab.nbytes
