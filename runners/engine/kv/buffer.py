"""The keys and values that one request's tokens see: those it computes, and those it takes over from a store."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from runners.engine.graphs.graphs import Graphs
from runners.engine.shapes import KVShape

Arrive = Callable[[int], None]
"""Puts what is reused of one layer, by its index, where it belongs."""


class KVBuffer:
    """Keys (after RoPE) and values of one request, each ``(layers, kv_heads, capacity, head_dim)``.

    What comes from a slower tier comes layer by layer while layers before it are computed: a layer is to be asked for
    by ``layer``, which waits for no other; whoever takes ``k`` or ``v`` as a whole waits for all.

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

    @property
    def k(self) -> Tensor:
        """All keys; what is still on its way is waited for."""
        return self.first(len(self._k))[0]

    @property
    def v(self) -> Tensor:
        """All values; what is still on its way is waited for."""
        return self.first(len(self._k))[1]

    def layer(self, index: int) -> tuple[Tensor, Tensor]:
        """Keys and values of one layer, each ``(kv_heads, capacity, head_dim)``, what is reused of it in place."""
        if index in self._due:
            self._due.remove(index)
            for arrive in self._arrivals:
                arrive(index)
        return self._k[index], self._v[index]

    def is_due(self, index: int) -> bool:
        """Whether something of a layer is still to come."""
        return index in self._due

    @property
    def unsettled(self) -> tuple[Tensor, Tensor]:
        """All keys and values, not waited for: for whoever keeps away from layers that are due."""
        return self._k, self._v

    def first(self, layers: int) -> tuple[Tensor, Tensor]:
        """Keys and values of the first layers, each ``(layers, kv_heads, capacity, head_dim)``."""
        for index in range(layers):
            self.layer(index)
        return self._k[:layers], self._v[:layers]

    def expect(self, arrive: Arrive) -> None:
        """Have ``arrive`` called once for every layer, before anything of it is read or written."""
        self._arrivals.append(arrive)
        self._due = set(range(len(self._k)))
