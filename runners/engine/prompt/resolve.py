"""Media resolved to encoder output: read from a store by content key, or encoded anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from runners.engine.adapters.base import Adapter
from runners.engine.measure.timing import TtftClock
from runners.engine.media.content_key import content_key
from runners.engine.shapes import MediaGrid
from runners.engine.store.entries import MediaEntry
from runners.engine.store.stores import Lookup
from workloads.records import Media


@dataclass(frozen=True)
class ResolvedMedia:
    """The media of one prompt.

    Attributes:
        keys: content keys in the order of the prompt, repeats included.
        grids, features: sizes and encoder output, by content key.
        entries: what the stores had, by content key.
    """

    keys: tuple[str, ...]
    grids: dict[str, MediaGrid]
    features: dict[str, Tensor]
    entries: dict[str, MediaEntry]

    def lacking(self, with_kv: bool) -> list[str]:
        """Content keys, each once, of media without an entry, or ``with_kv`` without a donor in their entry.

        An entry has no donor where a medium was evicted and then computed again within an exact prefix.
        """
        entries = self.entries
        return [
            key for key in dict.fromkeys(self.keys) if key not in entries or (with_kv and entries[key].donor is None)
        ]

    @property
    def computed(self) -> list[str]:
        """Content keys of the media that had to be encoded, each once."""
        return [key for key in dict.fromkeys(self.keys) if key not in self.entries]


@dataclass(frozen=True)
class Encoded:
    """Sizes and encoder output of media, by content key."""

    grids: Mapping[str, MediaGrid]
    features: Mapping[str, Tensor]


def resolve_media(
    adapter: Adapter,
    media: Sequence[Media],
    fingerprint: str,
    stores: Lookup,
    clock: TtftClock,
    encoded: Encoded | None = None,
) -> ResolvedMedia:
    """Look media up; decode, preprocess and encode (in one batch) those that are not in ``stores``.

    Args:
        encoded: encoder output of all media, at hand: then nothing is decoded or encoded.
    """
    variant = adapter.variant(media)
    keys = tuple(content_key(item, fingerprint + variant) for item in media)
    distinct = list(dict.fromkeys(keys))
    stores.expect(distinct)
    looked_up = {key: stores.medium(key) for key in distinct}
    entries = {key: entry for key, entry in looked_up.items() if entry is not None}
    clock.cut("prepare")
    if encoded is not None:
        grids, features = dict(encoded.grids), dict(encoded.features)
        features |= {key: entry.features.to(adapter.device) for key, entry in entries.items()}
        return ResolvedMedia(keys, grids, features, entries)
    missing = {key: item for key, item in zip(keys, media, strict=True) if key not in entries}
    pixels = {key: adapter.preprocess(item, variant) for key, item in missing.items()}
    clock.cut("preprocess")
    features = {key: entry.features.to(adapter.device, non_blocking=True) for key, entry in entries.items()}
    if pixels:
        features |= dict(zip(pixels, adapter.encode(list(pixels.values())), strict=True))
    clock.cut("encode")
    grids = {key: entry.grid for key, entry in entries.items()} | {key: item.grid for key, item in pixels.items()}
    return ResolvedMedia(keys, grids, features, entries)
