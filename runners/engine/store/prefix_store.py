"""The prefix cache: exact keys and values of whole requests, found again by their longest equal beginning."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from runners.engine.store.entries import Entry, PrefixEntry
from runners.engine.store.radix import RadixIndex
from runners.engine.store.tiers import Tiers

NAMESPACE = "prefix/"


@dataclass(frozen=True)
class Match:
    """The first ``tokens`` of a prompt, found in an ``entry`` of that ``name``; none with 0 tokens."""

    tokens: int = 0
    name: str = ""
    entry: PrefixEntry | None = None


class PrefixStore:
    """Prefixes in tiers whose budgets they share with media; a match ends at a multiple of ``block`` tokens."""

    def __init__(self, tiers: Tiers, block: int = 1) -> None:
        self._tiers = tiers
        self._block = block
        self._numbers = count()
        self._index = RadixIndex()
        tiers.on_eviction(self._forget)

    def match(self, symbols: NDArray[np.int64]) -> Match:
        """The longest stored beginning of ``symbols`` in whole blocks."""
        length, name = self._index.longest_match(symbols)
        length = length // self._block * self._block
        entry = self._tiers.get(name) if name is not None and length else None
        return Match(length, name or "", entry) if isinstance(entry, PrefixEntry) else Match()

    def in_tier(self, match: Match, tier: str) -> Match | None:
        """The same beginning in the tier of that name."""
        entry = self._tiers.peek(match.name, tier)
        return replace(match, entry=entry) if isinstance(entry, PrefixEntry) else None

    def promote(self, match: Match, entry: PrefixEntry) -> None:
        """Hold a beginning that was fetched on the device, too."""
        self._tiers.promote(match.name, entry)

    def put(self, symbols: Tensor, k: Tensor, v: Tensor) -> bool:
        """Store a copy of the beginning of a request; False when it is larger than every budget.

        Nothing is stored for what an entry covers already, and entries that the new one covers are dropped.
        """
        new = symbols.numpy()
        length, covering = self._index.longest_match(new)
        if covering is not None and length == len(new):
            self._tiers.get(covering)
            return True
        if not self._tiers.fits(PrefixEntry(symbols, k, v)):
            return False
        for name in self._index.beginnings_of(new):
            self._tiers.discard(name)
        name = f"{NAMESPACE}{next(self._numbers)}"
        entry = PrefixEntry(symbols.clone(), k.clone(), v.clone())
        self._tiers.put(name, entry)
        self._index.add(entry.symbols.numpy(), name)
        return True

    def _forget(self, name: str, entry: Entry) -> None:
        """Keep the index in step with what the budget holds."""
        if isinstance(entry, PrefixEntry):
            self._index.remove(entry.symbols.numpy(), name)
