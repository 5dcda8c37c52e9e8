"""The prefix cache: exact keys and values of whole requests, matched by their longest common prefix."""

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
    """A prefix of a prompt, ``tokens`` long, that the ``entry`` of that ``name`` begins with; 0 tokens for no match."""

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
        """Find the longest stored prefix of ``symbols``, in whole blocks."""
        length, name = self._index.longest_match(symbols)
        length = length // self._block * self._block
        entry = self._tiers.get(name) if name is not None and length else None
        return Match(length, name or "", entry) if isinstance(entry, PrefixEntry) else Match()

    def in_tier(self, match: Match, tier: str) -> Match | None:
        """The same match with the entry of the tier of that name."""
        entry = self._tiers.peek(match.name, tier)
        return replace(match, entry=entry) if isinstance(entry, PrefixEntry) else None

    def promote(self, match: Match, entry: PrefixEntry) -> None:
        """Put a prefix that was fetched from the host into the device tier again."""
        self._tiers.promote(match.name, entry)

    def put(self, symbols: Tensor, k: Tensor, v: Tensor, copy: bool = True) -> PrefixEntry | None:
        """Store a prefix, and return the entry that holds it; None when it is larger than every budget.

        Nothing is stored if an entry begins with it already; entries that are prefixes of the new one are dropped.

        Args:
            copy: whether to store a copy of the keys and values; not so where they are shared and never written again.
        """
        new = symbols.numpy()
        length, covering = self._index.longest_match(new)
        if covering is not None and length == len(new):
            held = self._tiers.get(covering)
            assert isinstance(held, PrefixEntry)
            return held
        if not self._tiers.fits(PrefixEntry(symbols, k, v)):
            return None
        for name in self._index.beginnings_of(new):
            self._tiers.discard(name)
        name = f"{NAMESPACE}{next(self._numbers)}"
        entry = PrefixEntry(symbols.clone(), k.clone() if copy else k, v.clone() if copy else v)
        self._tiers.put(name, entry)
        self._index.add(entry.symbols.numpy(), name)
        return entry

    def _forget(self, name: str, entry: Entry) -> None:
        """Remove an evicted entry from the index."""
        if isinstance(entry, PrefixEntry):
            self._index.remove(entry.symbols.numpy(), name)
