"""The causal view of some tokens: which keys each of them sees."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class LookBack:
    """A causal mask by token index: a query sees every key up to its own token. Made once, used in many layers.

    Attributes:
        tokens: indices of the tokens, ascending, ``(queries,)`` int64 on the CPU; not read where there is a ``room``.
        at: the same on the device of the queries.
        room: number of keys for recorded work, which is replayed for other tokens; None for eager work.
    """

    tokens: Tensor
    at: Tensor
    room: int | None = None
    _derived: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, tokens: Tensor, device: torch.device | str = "cpu") -> LookBack:
        """The view of tokens on the CPU, for queries on ``device``."""
        return cls(tokens, tokens.to(device))

    @classmethod
    def within(cls, at: Tensor, room: int) -> LookBack:
        """The view for recorded work: token indices known on the device only, among ``room`` keys."""
        return cls(at, at, room)

    @property
    def fixed(self) -> bool:
        """Whether only sizes are known on the host."""
        return self.room is not None

    @property
    def reach(self) -> int:
        """Upper bound of the keys that a query sees: exact for eager work, the ``room`` for recorded work."""
        return int(self.tokens[-1]) + 1 if self.room is None else self.room

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Derive something (masks, spans, ...) by ``make``, once, and keep it under ``key`` for later layers."""
        if key not in self._derived:
            self._derived[key] = make()
        derived: T = self._derived[key]
        return derived
