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
        tokens: indices of the tokens, ascending, ``(queries,)`` int64 on the CPU.
        at: the same where the queries are.
    """

    tokens: Tensor
    at: Tensor
    _derived: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, tokens: Tensor, device: torch.device | str = "cpu") -> LookBack:
        """The view of tokens on the CPU, for queries on ``device``."""
        return cls(tokens, tokens.to(device))

    @property
    def reach(self) -> int:
        """How many keys the last query sees; no query sees more."""
        return int(self.tokens[-1]) + 1

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What a backend derives from the view (masks, spans, ...), kept for the layers to come under its ``key``."""
        if key not in self._derived:
            self._derived[key] = make()
        derived: T = self._derived[key]
        return derived
