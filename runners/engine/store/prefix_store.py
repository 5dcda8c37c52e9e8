"""The prefix cache: exact keys and values of whole requests, found again by their longest equal beginning."""

from __future__ import annotations

from itertools import count

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from runners.engine.store.entries import Entry, PrefixEntry
from runners.engine.store.lru import ByteBudgetLru
from runners.engine.store.radix import RadixIndex

NAMESPACE = "prefix/"


class PrefixStore:
    """Prefixes in a byte budget they share with media; a match ends at a multiple of ``block`` tokens."""

    def __init__(self, lru: ByteBudgetLru[Entry], block: int = 1) -> None:
        self._lru = lru
        self._block = block
        self._numbers = count()
        self._index = RadixIndex()
        lru.on_eviction(self._forget)

    def match(self, symbols: NDArray[np.int64]) -> tuple[int, PrefixEntry | None]:
        """The longest stored beginning of ``symbols`` in whole blocks, and an entry that has it."""
        length, name = self._index.longest_match(symbols)
        length = length // self._block * self._block
        entry = self._lru.get(name) if name is not None and length else None
        return (length, entry) if isinstance(entry, PrefixEntry) else (0, None)

    def put(self, symbols: Tensor, k: Tensor, v: Tensor) -> bool:
        """Store a copy of the beginning of a request; False when it is larger than the whole budget.

        Nothing is stored for what an entry covers already, and entries that the new one covers are dropped.
        """
        new = symbols.numpy()
        length, covering = self._index.longest_match(new)
        if covering is not None and length == len(new):
            self._lru.get(covering)
            return True
        if not self._lru.fits(PrefixEntry(symbols, k, v)):
            return False
        for name in self._index.beginnings_of(new):
            self._lru.discard(name)
        name = f"{NAMESPACE}{next(self._numbers)}"
        entry = PrefixEntry(symbols.clone(), k.clone(), v.clone())
        self._lru.put(name, entry)
        self._index.add(entry.symbols.numpy(), name)
        return True

    def _forget(self, name: str, entry: Entry) -> None:
        """Keep the index in step with what the budget holds."""
        if isinstance(entry, PrefixEntry):
            self._index.remove(entry.symbols.numpy(), name)
