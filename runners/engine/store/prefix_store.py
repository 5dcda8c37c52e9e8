"""The prefix cache: exact keys and values of whole requests, matched by their longest common prefix."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from runners.engine.store.disk.tier import DiskTier
from runners.engine.store.entries import PrefixEntry, Stored
from runners.engine.store.radix import RadixIndex
from runners.engine.store.symbols import Symbols
from runners.engine.store.tiers import Tiers

NAMESPACE = "prefix/"


@dataclass(frozen=True)
class Match:
    """A prefix of a prompt, ``tokens`` long, that the ``entry`` of that ``name`` begins with; 0 tokens for no match."""

    tokens: int = 0
    name: str = ""
    entry: PrefixEntry | None = None


class PrefixStore:
    """Prefixes in tiers whose budgets they share with media; a match ends at a multiple of ``block`` tokens.

    Args:
        disk: the tier on disk, where other processes may store prefixes, too.
    """

    def __init__(self, tiers: Tiers, block: int = 1, disk: DiskTier | None = None) -> None:
        self._tiers, self._disk = tiers, disk
        self._block = block
        self._numbers = count()
        self._index = RadixIndex()
        self._indexed: dict[str, Symbols] = {}
        tiers.on_eviction(self._forget)
        self._look_on_disk()

    def clear(self) -> None:
        """Forget all names, and find again what lies on disk, so that no request has to."""
        self._index = RadixIndex()
        self._indexed.clear()
        if self._disk is not None:
            self._disk.forget()
        self._look_on_disk()

    def match(self, symbols: NDArray[np.int64]) -> Match:
        """Find the longest stored prefix of ``symbols``, in whole blocks; of equal ones, one in memory."""
        self._look_on_disk()
        while True:
            preferred = None if self._disk is None else self._tiers.in_memory
            length, name = self._index.longest_match(symbols, preferred)
            length = length // self._block * self._block
            if name is None or not length:
                return Match()
            entry = self._tiers.get(name)
            if isinstance(entry, PrefixEntry):
                return Match(length, name, entry)
            self._remove(name)  # it has gone from disk

    def in_tier(self, match: Match, tier: str) -> Match | None:
        """The same match with the entry of the tier of that name."""
        entry = self._tiers.peek(match.name, tier)
        return replace(match, entry=entry) if isinstance(entry, PrefixEntry) else None

    def promote(self, match: Match, entry: PrefixEntry) -> None:
        """Put a prefix that was fetched from the host into the device tier again."""
        self._tiers.promote(match.name, entry)

    def put(self, symbols: Tensor, k: Tensor, v: Tensor, copy: bool = True) -> PrefixEntry | None:
        """Store a prefix, and return the entry in memory that holds it; None when it is larger than every budget.

        Nothing is stored if an entry begins with it already (None where only the disk has that); entries that are
        prefixes of the new one are dropped.

        Args:
            copy: whether to store a copy of the keys and values; not so where they are shared and never written again.
        """
        new = symbols.numpy()
        length, covering = self._index.longest_match(new, None if self._disk is None else self._tiers.in_memory)
        if covering is not None and length == len(new):
            held = self._tiers.get(covering) if self._tiers.in_memory(covering) else None
            assert held is None or isinstance(held, PrefixEntry)
            return held
        if not self._tiers.fits(PrefixEntry(symbols, k, v)):
            return None
        replaced = self._index.beginnings_of(new)
        for name in replaced:
            self._tiers.discard(name)
            self._remove(name)
        name = f"{NAMESPACE}{next(self._numbers)}" if self._disk is None else self._disk.key_of(new)
        entry = PrefixEntry(symbols.clone(), k.clone() if copy else k, v.clone() if copy else v)
        self._tiers.put(name, entry, replaced)
        self._add(name, entry.symbols.numpy())
        return entry

    def _look_on_disk(self) -> None:
        """Take into the index what other processes stored, and out of it what went from disk."""
        new, gone = ({}, []) if self._disk is None else self._disk.prefixes()
        for name, symbols in new.items():
            self._add(name, symbols)
        for name in gone:
            if name not in self._tiers:
                self._remove(name)

    def _add(self, name: str, symbols: Symbols) -> None:
        if name not in self._indexed:
            self._indexed[name] = symbols
            self._index.add(symbols, name)

    def _remove(self, name: str) -> None:
        symbols = self._indexed.pop(name, None)
        if symbols is not None:
            self._index.remove(symbols, name)

    def _forget(self, name: str, entry: Stored) -> None:
        """Remove an evicted entry from the index."""
        if isinstance(entry, PrefixEntry):
            self._remove(name)
