"""The prefix cache: exact keys and values of whole requests, found again by their longest equal beginning."""

from __future__ import annotations

from itertools import count

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from runners.engine.store.entries import Entry, PrefixEntry
from runners.engine.store.lru import ByteBudgetLru


NAMESPACE = "prefix/"


class PrefixStore:
    """Prefixes in a byte budget they share with media; a match ends at a multiple of ``block`` tokens."""

    def __init__(self, lru: ByteBudgetLru[Entry], block: int = 1) -> None:
        self._lru = lru
        self._block = block
        self._numbers = count()

    def match(self, symbols: NDArray[np.int64]) -> tuple[int, PrefixEntry | None]:
        """The longest stored beginning of ``symbols`` in whole blocks, and the entry that has it."""
        best, found, name = 0, None, ""
        for key, entry in self._prefixes():
            length = _common(symbols, entry.symbols.numpy()) // self._block * self._block
            if length > best:
                best, found, name = length, entry, key
        self._lru.get(name)
        return best, found

    def put(self, symbols: Tensor, k: Tensor, v: Tensor) -> bool:
        """Store a copy of the beginning of a request; False when it is larger than the whole budget.

        Nothing is stored for what an entry covers already, and entries that the new one covers are dropped.
        """
        new = symbols.numpy()
        for key, entry in self._prefixes():
            old = entry.symbols.numpy()
            common = _common(new, old)
            if common == len(new):
                self._lru.get(key)
                return True
            if common == len(old):
                self._lru.discard(key)
        return self._lru.put(f"{NAMESPACE}{next(self._numbers)}", PrefixEntry(symbols, k.clone(), v.clone()))

    def _prefixes(self) -> list[tuple[str, PrefixEntry]]:
        return [(key, entry) for key, entry in self._lru.items() if isinstance(entry, PrefixEntry)]


def _common(first: NDArray[np.int64], second: NDArray[np.int64]) -> int:
    """Length of the common beginning."""
    shorter = min(len(first), len(second))
    differs = first[:shorter] != second[:shorter]
    return int(differs.argmax()) if differs.any() else shorter
