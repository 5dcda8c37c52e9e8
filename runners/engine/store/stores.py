"""The stores of one runner: media and prefixes in tiers, and the look-up of entries for a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from runners.engine.kv.fetch import to_host
from runners.engine.store.entries import MediaEntry
from runners.engine.store.lru import ByteBudgetLru
from runners.engine.store.media_store import MediaStore
from runners.engine.store.prefix_store import Match, PrefixStore
from runners.engine.store.tiers import Tier, Tiers

DEVICE, HOST = "device", "host"


class Lookup(Protocol):
    """Looks up entries that a request may reuse."""

    def medium(self, key: str) -> MediaEntry | None:
        """Look up the entry of a medium by its content key."""
        ...

    def prefix(self, symbols: NDArray[np.int64]) -> Match:
        """Look up the longest stored prefix of a prompt."""
        ...


class Stores:
    """Media and prefixes in the device's memory and, under a budget of its own, in the host's; see ``Lookup``.

    Args:
        device_budget, host_budget: bytes; without a host budget there is no host tier.
        block: a match of prefixes ends at a multiple of so many tokens.
    """

    def __init__(self, device_budget: int, host_budget: int = 0, block: int = 1) -> None:
        tiers = [Tier(DEVICE, ByteBudgetLru(device_budget))]
        if host_budget:
            tiers.append(Tier(HOST, ByteBudgetLru(host_budget), to_host))
        self.tiers = Tiers(tiers)
        self.media = MediaStore(self.tiers)
        self.prefixes = PrefixStore(self.tiers, block)

    def medium(self, key: str) -> MediaEntry | None:
        """See ``Lookup``; marked as just used."""
        return self.media.get(key)

    def prefix(self, symbols: NDArray[np.int64]) -> Match:
        """See ``Lookup``; marked as just used."""
        return self.prefixes.match(symbols)

    def on_host(self, media: Mapping[str, MediaEntry], match: Match) -> OnHost | None:
        """Entries of the host tier for the same media and prefix; None where there are none or one is missing there."""
        looked_up = {key: self.media.in_tier(key, HOST) for key in media}
        entries = {key: entry for key, entry in looked_up.items() if entry is not None}
        prefix = self.prefixes.in_tier(match, HOST) if match.tokens else match
        if not (media or match.tokens) or len(entries) < len(media) or prefix is None:
            return None
        return OnHost(entries, prefix)

    def bytes_per_vision_token(self) -> float | None:
        """Bytes of all entries, probes and prefixes included, per vision token of stored media; None without media."""
        entries = [entry for _, entry in self.tiers.items()]
        tokens = sum(len(entry.features) for entry in entries if isinstance(entry, MediaEntry))
        return sum(entry.nbytes for entry in entries) / tokens if tokens else None


@dataclass(frozen=True)
class OnHost:
    """See ``Lookup``: the entries of one request, read from the host tier."""

    media: Mapping[str, MediaEntry]
    match: Match

    def medium(self, key: str) -> MediaEntry | None:
        """See ``Lookup``."""
        return self.media.get(key)

    def prefix(self, symbols: NDArray[np.int64]) -> Match:
        """See ``Lookup``."""
        return self.match


@dataclass(frozen=True)
class Allowed:
    """See ``Lookup``: only those stores that a method uses."""

    stores: Lookup
    media: bool
    prefixes: bool

    def medium(self, key: str) -> MediaEntry | None:
        """See ``Lookup``."""
        return self.stores.medium(key) if self.media else None

    def prefix(self, symbols: NDArray[np.int64]) -> Match:
        """See ``Lookup``."""
        return self.stores.prefix(symbols) if self.prefixes else Match()
