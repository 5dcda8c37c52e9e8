"""The content-addressed store of media: encoder output and donor keys and values by content key."""

from __future__ import annotations

from runners.engine.store.entries import MediaEntry
from runners.engine.store.tiers import Tiers

NAMESPACE = "media/"


class MediaStore:
    """Media, in tiers whose budgets they share with prefixes.

    An entry whose keys and values were computed in an exact context is never overwritten by one whose were not.
    """

    def __init__(self, tiers: Tiers) -> None:
        self._tiers = tiers

    def get(self, key: str) -> MediaEntry | None:
        """The entry of a medium, from the fastest tier that has it, marked as just used."""
        entry = self._tiers.get(NAMESPACE + key)
        assert entry is None or isinstance(entry, MediaEntry)
        return entry

    def in_tier(self, key: str, tier: str) -> MediaEntry | None:
        """The entry of a medium in the tier of that name."""
        entry = self._tiers.peek(NAMESPACE + key, tier)
        assert entry is None or isinstance(entry, MediaEntry)
        return entry

    def put(self, key: str, entry: MediaEntry) -> bool:
        """Store a medium; False when it is larger than every budget."""
        present = self._tiers.peek(NAMESPACE + key)
        if isinstance(present, MediaEntry) and _is_exact(present) and not _is_exact(entry):
            return True
        return self._tiers.put(NAMESPACE + key, entry)

    def promote(self, key: str, entry: MediaEntry) -> None:
        """Put a medium that was fetched from the host into the device tier again."""
        self._tiers.promote(NAMESPACE + key, entry)


def _is_exact(entry: MediaEntry) -> bool:
    return entry.donor is not None and entry.donor.exact
