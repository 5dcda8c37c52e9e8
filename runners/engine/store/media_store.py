"""The content-addressed store of media: encoder output and donor keys and values by content key."""

from __future__ import annotations

from runners.engine.store.entries import Entry, MediaEntry
from runners.engine.store.lru import ByteBudgetLru

NAMESPACE = "media/"


class MediaStore:
    """Media in device memory, in a byte budget they share with prefixes.

    An entry whose keys and values were computed in an exact context is never overwritten by one whose were not.
    """

    def __init__(self, lru: ByteBudgetLru[Entry]) -> None:
        self._lru = lru

    def get(self, key: str) -> MediaEntry | None:
        """The entry of a medium, marked as just used."""
        entry = self._lru.get(NAMESPACE + key)
        assert entry is None or isinstance(entry, MediaEntry)
        return entry

    def put(self, key: str, entry: MediaEntry) -> bool:
        """Store a medium; False when it is larger than the whole budget."""
        held = self._lru.peek(NAMESPACE + key)
        if isinstance(held, MediaEntry) and _is_exact(held) and not _is_exact(entry):
            return True
        return self._lru.put(NAMESPACE + key, entry)


def _is_exact(entry: MediaEntry) -> bool:
    return entry.donor is not None and entry.donor.exact
