"""The KV cache of one request: keys and values that it computes, and those that it reuses from a store."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from runners.engine.graphs.graphs import Graphs
from runners.engine.shapes import KVShape

Arrive = Callable[[int], None]
"""Writes the reused keys and values of one layer, given by its index, into the cache."""


class KVBuffer:
    """Keys (after RoPE) and values of one request, each ``(layers, kv_heads, capacity, head_dim)``.

    What is fetched from a slower tier arrives layer by layer, while earlier layers are computed: ``layer`` waits for
    one layer alone, ``k`` and ``v`` wait for all.

    Attributes:
        graphs: work that was recorded on this memory; None where nothing is recorded, which is always so for memory
            that was allocated for one request alone.
    """

    def __init__(self, k: Tensor, v: Tensor, graphs: Graphs | None = None) -> None:
        self._k, self._v = k, v
        self.graphs = graphs
        self._arrivals: list[Arrive] = []
        self._due: set[int] = set()

    @classmethod
    def allocate(cls, shape: KVShape, capacity: int) -> KVBuffer:
        """Uninitialised memory of its own for ``capacity`` tokens, rounded up to whole pages."""
        sizes = shape.sizes(capacity + -capacity % shape.page)
        k, v = (torch.empty(sizes, device=shape.device, dtype=shape.dtype) for _ in range(2))
        return cls(k, v)

    def copy(self) -> KVBuffer:
        """Copy all keys and values, once every layer has arrived, into memory on which nothing is recorded."""
        return KVBuffer(self.k.clone(), self.v.clone())

    @property
    def k(self) -> Tensor:
        """All keys, once every layer has arrived."""
        return self.first(len(self._k))[0]

    @property
    def v(self) -> Tensor:
        """All values, once every layer has arrived."""
        return self.first(len(self._k))[1]

    def layer(self, index: int) -> tuple[Tensor, Tensor]:
        """Keys and values of one layer, each ``(kv_heads, capacity, head_dim)``, once it has arrived."""
        if index in self._due:
            self._due.remove(index)
            for arrive in self._arrivals:
                arrive(index)
        return self._k[index], self._v[index]

    def is_due(self, index: int) -> bool:
        """Whether a layer has not yet arrived."""
        return index in self._due

    @property
    def unsettled(self) -> tuple[Tensor, Tensor]:
        """All keys and values without waiting; layers that are due must not be read or written."""
        return self._k, self._v

    def first(self, layers: int) -> tuple[Tensor, Tensor]:
        """Keys and values of the first ``layers``, once they have arrived; sizes as of ``k`` and ``v``."""
        for index in range(layers):
            self.layer(index)
        return self._k[:layers], self._v[:layers]

    def expect(self, arrive: Arrive) -> None:
        """Register ``arrive``, to be called once for every layer before that layer is read or written."""
        self._arrivals.append(arrive)
        self._due = set(range(len(self._k)))
