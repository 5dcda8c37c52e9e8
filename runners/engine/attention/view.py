"""Which keys a subset of a prompt's tokens sees."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class LookBack:
    """What the queries of some tokens see: every key up to the token's own. Made once, used in many layers.

    Attributes:
        tokens: indices of the tokens, ascending, ``(queries,)`` int64 on the CPU; with a ``room`` nobody looks at them.
        at: the same where the queries are.
        room: work that is recorded, to be replayed for other tokens, reckons with so many keys; None for other work.
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
        """The view of tokens whose indices the host does not know, among ``room`` tokens."""
        return cls(at, at, room)

    @property
    def fixed(self) -> bool:
        """Whether the host knows nothing of it but sizes."""
        return self.room is not None

    @property
    def reach(self) -> int:
        """How many keys the last query sees, as far as the host knows; no query sees more."""
        return int(self.tokens[-1]) + 1 if self.room is None else self.room

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What a backend derives from the view (masks, spans, ...), kept for the layers to come under its ``key``."""
        if key not in self._derived:
            self._derived[key] = make()
        derived: T = self._derived[key]
        return derived
