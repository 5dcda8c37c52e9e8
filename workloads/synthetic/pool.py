"""Draw items that recur from a growing pool: popular ones often (Zipf), or all equally often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np

from workloads.records import Popularity

T = TypeVar("T")

ZIPF_EXPONENT = 1.0


class RecurringPool(Generic[T]):
    """Yields items that recur: with chance ``reuse_rate`` one served before, else a new one.

    With popularity ``zipf`` the item that arrived r-th is drawn with weight ``1 / r ** ZIPF_EXPONENT``, the law of web
    and retrieval traffic (Breslau et al., INFOCOM 1999). With ``even`` it is the one served least so far, the oldest of
    them: requests then tell as much about as many items as they can, which verdicts need.
    """

    def __init__(self, make: Callable[[int], T], reuse_rate: float, popularity: Popularity = "zipf") -> None:
        if not 0 <= reuse_rate <= 1:
            raise ValueError(f"reuse_rate must be between 0 and 1, not {reuse_rate}")
        self._make = make
        self._reuse_rate = reuse_rate
        if popularity not in ("zipf", "even"):
            raise ValueError(f"popularity must be zipf or even, not {popularity}")
        self._popularity = popularity
        self._items: list[T] = []
        self._served: list[int] = []

    def draw(self, rng: np.random.Generator) -> T:
        """The next item. Draws the same amount of randomness whether it is new or not."""
        reuse, rank = rng.random(), rng.random()
        if not self._items or reuse >= self._reuse_rate:
            self._items.append(self._make(len(self._items)))
            self._served.append(1)
            return self._items[-1]
        index = self._least_served() if self._popularity == "even" else zipf_rank(len(self._items), rank)
        self._served[index] += 1
        return self._items[index]

    def _least_served(self) -> int:
        return self._served.index(min(self._served))


def zipf_rank(count: int, chance: float) -> int:
    """The rank, from 0, that ``chance`` (0..1, uniform) draws among ``count`` by the law of ``RecurringPool``."""
    weights = 1.0 / np.arange(1, count + 1) ** ZIPF_EXPONENT
    cumulative = np.cumsum(weights) / weights.sum()
    return int(np.searchsorted(cumulative[:-1], chance, side="right"))
