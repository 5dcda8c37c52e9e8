"""The workspace: memory for the KV cache of one request at a time, reused by the next."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

from runners.engine.graphs.buckets import bucket
from runners.engine.graphs.graphs import Graphs
from runners.engine.kv.buffer import KVBuffer
from runners.engine.shapes import KVShape


class Workspace:
    """Memory that all runners of a model share; it grows with the longest request, and stays in place until then.

    Attributes:
        graphs: recorded work on this memory; None where nothing is recorded.
    """

    def __init__(self, shape: KVShape, graphs: Graphs | None = None) -> None:
        self._shape = shape
        self.graphs = graphs
        self._slab: Tensor | None = None

    def kv(self, capacity: int) -> KVBuffer:
        """Uninitialised room for ``capacity`` tokens and at least one scratch slot; valid until the next call.

        The room is rounded up to a bucket. Rooms of equal size lie at the same addresses, until the memory grows.
        """
        shape = self._shape
        sizes = (2, *shape.sizes(bucket(capacity + 1, shape.page)))
        if self._slab is None or self._slab.numel() < prod(sizes):
            self.release()
            self._slab = torch.empty(prod(sizes), device=shape.device, dtype=shape.dtype)
        k, v = self._slab[: prod(sizes)].view(sizes)
        return KVBuffer(k, v, self.graphs)

    def release(self) -> None:
        """Free the memory, and drop what was recorded on it."""
        if self.graphs is not None:
            self.graphs.clear()
        self._slab = None

    @property
    def nbytes(self) -> int:
        """Bytes that stay allocated between requests."""
        return 0 if self._slab is None else self._slab.nbytes
