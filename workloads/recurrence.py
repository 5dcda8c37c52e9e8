"""How media come back: a growing pool of collections with Zipf-like popularity."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")

ZIPF_EXPONENT = 1.0


class RecurringPool(Generic[T]):
    """Yields items that recur: with chance ``reuse_rate`` one served before, else a new one.

    The item that arrived r-th is drawn with weight ``1 / r ** ZIPF_EXPONENT``, the popularity law of web
    and retrieval traffic (Breslau et al., INFOCOM 1999).
    """

    def __init__(self, make: Callable[[int], T], reuse_rate: float) -> None:
        if not 0 <= reuse_rate <= 1:
            raise ValueError(f"reuse_rate must be between 0 and 1, not {reuse_rate}")
        self._make = make
        self._reuse_rate = reuse_rate
        self._items: list[T] = []

    def draw(self, rng: np.random.Generator) -> T:
        """The next item. Draws the same amount of randomness whether it is new or not."""
        reuse, rank = rng.random(), rng.random()
        if not self._items or reuse >= self._reuse_rate:
            self._items.append(self._make(len(self._items)))
            return self._items[-1]
        weights = 1.0 / np.arange(1, len(self._items) + 1) ** ZIPF_EXPONENT
        cumulative = np.cumsum(weights) / weights.sum()
        return self._items[int(np.searchsorted(cumulative[:-1], rank, side="right"))]
