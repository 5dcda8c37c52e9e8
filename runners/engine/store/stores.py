"""The stores of one runner: media and prefixes in tiers, and the look-up of entries for a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from runners.engine.kv.fetch import to_host
from runners.engine.store.disk.folder import ask_for, drop_cached
from runners.engine.store.disk.tier import EXPECTED_BYTES, DiskTier
from runners.engine.store.entries import Entry, MediaEntry, PackedMedia, PrefixEntry
from runners.engine.store.lru import ByteBudgetLru
from runners.engine.store.media_store import NAMESPACE as MEDIA
from runners.engine.store.media_store import MediaStore
from runners.engine.store.prefix_store import Match, PrefixStore
from runners.engine.store.tiers import Tier, Tiers

DEVICE, HOST = "device", "host"


class Lookup(Protocol):
    """Looks up entries that a request may reuse."""

    def expect(self, keys: Sequence[str]) -> None:
        """Say which media will be looked up, so that what lies on disk is read together."""
        ...

    def medium(self, key: str) -> MediaEntry | None:
        """Look up the entry of a medium by its content key."""
        ...

    def prefix(self, symbols: NDArray[np.int64]) -> Match:
        """Look up the longest stored prefix of a prompt."""
        ...


class Stores:
    """Media and prefixes on the device and, under budgets of their own, on the host and on disk; see ``Lookup``.

    Args:
        device_budget, host_budget: bytes; without a host budget there is no host tier.
        block: a match of prefixes ends at a multiple of so many tokens.
        disk: the tier on disk; None for none.
        packs: whether the host keeps keys and values of donors in 8 bits.
    """

    def __init__(
        self,
        device_budget: int,
        host_budget: int = 0,
        block: int = 1,
        disk: DiskTier | None = None,
        packs: bool = False,
    ) -> None:
        tiers = [Tier(DEVICE, ByteBudgetLru(device_budget))]
        if host_budget:
            tiers.append(Tier(HOST, ByteBudgetLru(host_budget), to_host, packs))
        self.disk = disk
        self.tiers = Tiers(tiers, disk)
        self.media = MediaStore(self.tiers)
        self.prefixes = PrefixStore(self.tiers, block, disk)

    def clear(self) -> None:
        """Forget everything in memory; entries on disk stay."""
        self.tiers.clear()
        self.prefixes.clear()

    def keep_read(self, media: Mapping[str, MediaEntry], match: Match) -> None:
        """Put what a request read from disk into the host tier, where there is one."""
        for key, entry in media.items():
            self.tiers.keep_read(MEDIA + key, entry)
        if match.entry is not None:
            self.tiers.keep_read(match.name, match.entry)

    def use_disk(self, active: bool) -> None:
        """Let the next requests read from disk and write to it, or do neither."""
        if self.disk is not None:
            self.disk.active = active

    def reading_whole(self) -> AbstractContextManager[None]:
        """See ``DiskTier``."""
        return nullcontext() if self.disk is None else self.disk.reading_whole()

    def release(self) -> None:
        """See ``DiskTier``."""
        if self.disk is not None:
            self.disk.release()

    def drain(self) -> None:
        """Wait until what was put is on disk, within bounds."""
        if self.disk is not None:
            self.disk.store.drain()

    def medium(self, key: str) -> MediaEntry | None:
        """See ``Lookup``; marked as just used."""
        return self.media.get(key)

    def prefix(self, symbols: NDArray[np.int64]) -> Match:
        """See ``Lookup``; marked as just used."""
        return self.prefixes.match(symbols)

    def expect(self, keys: Sequence[str]) -> None:
        """See ``Lookup``."""
        for key in keys if self.disk is not None else ():
            if self.disk is not None and not self.tiers.in_memory(MEDIA + key):
                self.disk.expect(MEDIA + key)

    def on_host(self, media: Mapping[str, MediaEntry], match: Match) -> OnHost | None:
        """Entries of the host tier for the same media and prefix; None where there are none or one is missing there."""
        looked_up = {key: self.media.in_tier(key, HOST) for key in media}
        entries = {key: entry for key, entry in looked_up.items() if entry is not None}
        prefix = self.prefixes.in_tier(match, HOST) if match.tokens else match
        if not (media or match.tokens) or len(entries) < len(media) or prefix is None:
            return None
        return OnHost(entries, prefix)

    def on_disk(self, media: Mapping[str, MediaEntry], match: Match) -> OnDisk | None:
        """The same entries, to be read from disk; None where there are none or one is missing there.

        Their files are opened now, so that they can be read whatever becomes of their names; what the system holds of
        them in memory is dropped, where it can be.
        """
        if self.disk is None or not (media or match.tokens):
            return None
        keys = [MEDIA + key for key in media] + ([match.name] if match.tokens else [])
        streams = {key: stream for key in keys if (stream := self.disk.open(key)) is not None}
        if len(streams) < len(keys):
            for stream in streams.values():
                stream.close()
            return None
        for stream in streams.values():
            drop_cached(stream)
        return OnDisk(self.disk, streams, match)

    def bytes_per_vision_token(self) -> float | None:
        """Bytes of all entries, probes and prefixes included, per vision token of stored media; None without media."""
        stored = [entry for _, entry in self.tiers.items()]
        media = [entry.entry if isinstance(entry, PackedMedia) else entry for entry in stored]
        tokens = sum(len(entry.features) for entry in media if isinstance(entry, MediaEntry))
        return sum(entry.nbytes for entry in stored) / tokens if tokens else None


@dataclass(frozen=True)
class OnHost:
    """See ``Lookup``: the entries of one request, read from the host tier."""

    media: Mapping[str, MediaEntry]
    match: Match

    def expect(self, keys: Sequence[str]) -> None:
        """See ``Lookup``."""

    def medium(self, key: str) -> MediaEntry | None:
        """See ``Lookup``."""
        return self.media.get(key)

    def prefix(self, symbols: NDArray[np.int64]) -> Match:
        """See ``Lookup``."""
        return self.match


@dataclass
class OnDisk:
    """See ``Lookup``: the entries of one request, read from disk when they are looked up.

    Attributes:
        streams: their open files, by the key of the tiers; each is read once.
        lacks: whether one was bad.
    """

    disk: DiskTier
    streams: dict[str, BinaryIO]
    match: Match
    lacks: bool = False

    def expect(self, keys: Sequence[str]) -> None:
        """See ``Lookup``."""
        for key in keys:
            if MEDIA + key in self.streams:
                ask_for(self.streams[MEDIA + key].fileno(), 0, EXPECTED_BYTES)

    def medium(self, key: str) -> MediaEntry | None:
        """See ``Lookup``."""
        entry = self._read(MEDIA + key) if MEDIA + key in self.streams else None
        return entry if isinstance(entry, MediaEntry) else None

    def prefix(self, symbols: NDArray[np.int64]) -> Match:
        """See ``Lookup``."""
        entry = self._read(self.match.name) if self.match.tokens else None
        return replace(self.match, entry=entry) if isinstance(entry, PrefixEntry) else Match()

    def _read(self, key: str) -> Entry | None:
        entry = self.disk.read_from(self.streams[key], key)
        self.lacks |= entry is None
        return entry


@dataclass(frozen=True)
class Allowed:
    """See ``Lookup``: only those stores that a method uses."""

    stores: Lookup
    media: bool
    prefixes: bool

    def expect(self, keys: Sequence[str]) -> None:
        """See ``Lookup``."""
        if self.media:
            self.stores.expect(keys)

    def medium(self, key: str) -> MediaEntry | None:
        """See ``Lookup``."""
        return self.stores.medium(key) if self.media else None

    def prefix(self, symbols: NDArray[np.int64]) -> Match:
        """See ``Lookup``."""
        return self.stores.prefix(symbols) if self.prefixes else Match()
