"""Tiers of memory: the device's, then the host's, then the disk's; each keeps what fits its own byte budget.

Tiers are inclusive: what is stored is put into every tier, so that nothing has to be written when it is evicted from
one, and the slower ones, with larger budgets, still hold what the faster ones had to give up (as in SGLang's HiCache).
The tier on disk is shared with other processes: it is written behind the answers, may lose an entry at any moment, and
outlives ``clear``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from runners.engine.store.disk.tier import DiskTier
from runners.engine.store.entries import Entry, Stored, packed, restored
from runners.engine.store.lru import ByteBudgetLru

Copy = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Tier:
    """One memory with its own eviction.

    Attributes:
        entries: by key.
        copy: copies a tensor from the device to this memory; None for the device tier, which keeps it as it is.
        packs: whether keys and values of donors are kept in 8 bits.
    """

    name: str
    entries: ByteBudgetLru[Stored]
    copy: Copy | None = None
    packs: bool = False

    def put(self, key: str, entry: Entry) -> None:
        """Put an entry, whose tensors are on the device and which fits, packed or not."""
        self.keep(key, entry if self.copy is None else entry.for_host(self.copy))

    def keep(self, key: str, entry: Entry) -> None:
        """Put an entry whose tensors are in this memory."""
        self.entries.put(key, packed(entry) if self.packs else entry)

    def peek(self, key: str) -> Entry | None:
        """The entry, its place in the order unchanged."""
        stored = self.entries.peek(key)
        return None if stored is None else restored(stored)


class Tiers:
    """A mapping over all tiers, fastest first; ``peek`` and iteration know memory alone, and the order of use stays.

    Args:
        disk: the slowest tier, where there is one.
    """

    def __init__(self, tiers: Sequence[Tier], disk: DiskTier | None = None) -> None:
        self._tiers, self._disk = tuple(tiers), disk
        self._watchers: list[Callable[[str, Stored], None]] = []
        for tier in self._tiers:
            tier.entries.on_eviction(self._tell)

    def on_eviction(self, watcher: Callable[[str, Stored], None]) -> None:
        """Call ``watcher`` with key and entry once no tier has it any longer."""
        self._watchers.append(watcher)

    def get(self, key: str) -> Entry | None:
        """The entry, from the fastest tier that has it, marked as just used in all."""
        found = [stored for stored in (tier.entries.get(key) for tier in self._tiers) if stored is not None]
        if found:
            if self._disk is not None:
                self._disk.mark_used(key)
            return restored(found[0])
        return None if self._disk is None else self._disk.get(key)

    def peek(self, key: str, tier: str | None = None) -> Entry | None:
        """The entry, from the tier of that name or else the fastest that has it."""
        for other in self._tiers:
            if tier in (None, other.name) and (entry := other.peek(key)) is not None:
                return entry
        return None

    def fits(self, entry: Entry) -> bool:
        """Whether some tier can hold an entry."""
        on_disk = self._disk is not None and self._disk.fits(entry)
        return on_disk or any(tier.entries.fits(entry) for tier in self._tiers)

    def put(self, key: str, entry: Entry, replaced: Sequence[str] = ()) -> bool:
        """Put an entry into every tier that it fits, and drop older ones of its key; False if it fits none.

        A refused entry leaves all tiers as they were.

        Args:
            replaced: keys of entries that this one stands for, too: they go from disk once it is there.
        """
        roomy = [tier for tier in self._tiers if tier.entries.fits(entry)]
        for tier in roomy:
            tier.put(key, entry)
        for tier in self._tiers:
            if roomy and tier not in roomy:
                tier.entries.discard(key)
        if self._disk is not None and self._disk.fits(entry):
            self._disk.put(key, entry, replaced)
            return True
        return bool(roomy)

    def promote(self, key: str, entry: Entry) -> None:
        """Put an entry that was fetched into the fastest tier, if that lacks it and another tier still has it."""
        fastest = self._tiers[0]
        if key in self and key not in fastest.entries and fastest.entries.fits(entry):
            fastest.put(key, entry)

    def keep_read(self, key: str, entry: Entry) -> None:
        """Put an entry that was read from disk into the host tier, where there is one, if it was read to its end."""
        complete = entry.complete() if entry.on_disk else None
        for tier in self._tiers if complete is not None else ():
            if tier.copy is not None and complete is not None:
                tier.keep(key, replace(complete, on_disk=False))

    def discard(self, key: str) -> None:
        """Forget an entry in the tiers of memory."""
        for tier in self._tiers:
            tier.entries.discard(key)

    def clear(self) -> None:
        """Forget everything in memory."""
        for tier in self._tiers:
            tier.entries.clear()

    def items(self) -> Iterator[tuple[str, Stored]]:
        """Keys and entries in memory, each once."""
        seen: set[str] = set()
        for tier in self._tiers:
            for key, entry in tier.entries.items():
                if key not in seen:
                    seen.add(key)
                    yield key, entry

    def nbytes(self, tier: str) -> int:
        """Bytes that the tier of that name holds; 0 when there is none."""
        return sum(other.entries.nbytes for other in self._tiers if other.name == tier)

    def __contains__(self, key: str) -> bool:
        return self.in_memory(key) or (self._disk is not None and self._disk.has(key))

    def in_memory(self, key: str) -> bool:
        """Whether a tier besides the disk's has an entry."""
        return any(key in tier.entries for tier in self._tiers)

    def _tell(self, key: str, entry: Stored) -> None:
        if key not in self:
            for watcher in self._watchers:
                watcher(key, entry)
