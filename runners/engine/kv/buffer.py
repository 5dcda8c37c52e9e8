"""The keys and values that one request's tokens see: those it computes, and those it takes over from a store."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from runners.engine.adapters.base import Adapter

if TYPE_CHECKING:
    from runners.engine.graphs.graphs import Graphs

Arrive = Callable[[int], None]
"""Puts what is reused of one layer, by its index, where it belongs."""


class KVBuffer:
    """Keys (after RoPE) and values of one request, each ``(layers, kv_heads, capacity, head_dim)``.

    What comes from a slower tier comes layer by layer while layers before it are computed: a layer is to be asked for
    by ``layer``, which waits for no other; whoever takes ``k`` or ``v`` as a whole waits for all.

    Attributes:
        graphs: work that was recorded on this memory; None where it is not, as on memory of nobody else's.
    """

    def __init__(self, k: Tensor, v: Tensor, graphs: Graphs | None = None) -> None:
        self._k, self._v = k, v
        self.graphs = graphs
        self._arrivals: list[Arrive] = []
        self._due: set[int] = set()

    @classmethod
    def allocate(cls, adapter: Adapter, capacity: int) -> KVBuffer:
        """Uninitialised room for ``capacity`` tokens, or a few more, as the attention backend wants it."""
        room = capacity + -capacity % adapter.attention.page
        shape = (adapter.shape.layers, adapter.shape.kv_heads, room, adapter.shape.head_dim)
        k, v = (torch.empty(shape, device=adapter.device, dtype=adapter.dtype) for _ in range(2))
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
