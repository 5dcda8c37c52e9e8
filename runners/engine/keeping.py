"""Keeping: what is stored behind an answer, computed or taken over: new media with donors, and the exact prefix."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from runners.engine.adapters.base import Adapter
from runners.engine.adoption import Board, Offer, narrowed
from runners.engine.donors import compile_donor, donor_from_capture
from runners.engine.first_token import FirstToken, PlannedRequest
from runners.engine.kv.sketch import OutputSketch
from runners.engine.method import Method
from runners.engine.plan import Plan
from runners.engine.prefill import PrefillResult
from runners.engine.prepared import PreparedRequest
from runners.engine.prompt.layout import MediaSegment
from runners.engine.store.entries import DonorKV, MediaEntry, PrefixEntry
from runners.engine.store.stores import Stores
from workloads.records import Media, MediaKind, Message


@dataclass
class Kept:
    """What was made for the stores behind an answer, whether or not they had room for it.

    Attributes:
        features: copies of encoder output, by content key.
        donors: by content key.
        prefix: the entry that holds the exact prefix; None where nothing was stored.
    """

    features: dict[str, Tensor] = field(default_factory=dict)
    donors: dict[str, DonorKV] = field(default_factory=dict)
    prefix: PrefixEntry | None = None


class Keeper:
    """Fills the stores of one runner.

    Attributes:
        too_large: content keys of media that are larger than every budget.
    """

    def __init__(
        self, adapter: Adapter, method: Method, stores: Stores, probes: tuple[int, ...], sketch: OutputSketch
    ) -> None:
        self._adapter, self._method, self._stores = adapter, method, stores
        self._probes, self._sketch = probes, sketch
        self.too_large: set[str] = set()

    def keep(self, first: FirstToken) -> Kept:
        """Promote fetched entries, put new media, and put the prefix that was computed exactly."""
        prepared, kept = first.planned.prepared, Kept()
        self._promote(prepared)
        exact = exact_tokens(prepared, first.planned.plan, first.result, self._adapter.shape.layers)
        for segment in self._new_media(prepared):
            features = kept.features[segment.key] = prepared.media.features[segment.key].clone()
            donor = self._donor(first, segment, exact)
            if donor is not None:
                kept.donors[segment.key] = donor
            self._put(segment, features, donor)
        if self._method.uses_prefix and exact > prepared.prefix_tokens:
            k, v = prepared.kv.k[:, :, :exact], prepared.kv.v[:, :, :exact]
            kept.prefix = self._stores.prefixes.put(_symbols(prepared, exact), k, v)
        return kept

    def keep_primed(self, prepared: PreparedRequest, keys: Collection[str]) -> None:
        """Put the new ones of these media with compiled donors, of a request that nobody answers."""
        for segment in [segment for segment in self._new_media(prepared) if segment.key in keys]:
            features = prepared.media.features[segment.key].clone()
            self._put(segment, features, self._compile(segment, features))

    def keep_adopted(self, planned: PlannedRequest, offer: Offer, board: Board) -> None:
        """Put the same for an answer that was taken over: shared entries, and donors compiled where nobody has them."""
        prepared = planned.prepared
        for segment in self._new_media(prepared):
            features, donor = prepared.media.features[segment.key], offer.donors.get(segment.key)
            if self._method.compiles_donors:
                donor = board.compiled(segment.key, self._method.donor_policy, self._probes)
                donor = donor or self._compile(segment, features)
                self.offer_compiled({segment.key: donor}, board)
            elif donor is not None:
                donor = narrowed(donor, offer.probes, self._probes)
            self._put(segment, features, donor if self._method.uses_kv else None)
        if self._method.uses_prefix:
            self._stores.prefixes.put(_symbols(prepared, prepared.layout.tokens), offer.k, offer.v, copy=False)

    def offer_compiled(self, donors: Mapping[str, DonorKV], board: Board) -> None:
        """Offer donors that this runner compiled."""
        for key, donor in donors.items() if self._method.compiles_donors else ():
            board.offer_compiled(key, self._method.donor_policy, self._probes, donor)

    def _new_media(self, prepared: PreparedRequest) -> list[MediaSegment]:
        """The first segment of each medium that has no entry, or none with a donor if the method reuses donors."""
        if not self._method.uses_encoder_cache:
            return []
        first = {segment.key: segment for segment in reversed(prepared.layout.segments)}
        lacking = set(prepared.media.lacking(self._method.uses_kv))
        return [
            segment for segment in prepared.layout.segments if segment.key in lacking and first[segment.key] is segment
        ]

    def _put(self, segment: MediaSegment, features: Tensor, donor: DonorKV | None) -> None:
        if not self._stores.media.put(segment.key, MediaEntry(segment.grid, features, donor)):
            self.too_large.add(segment.key)

    def _donor(self, first: FirstToken, segment: MediaSegment, exact: int) -> DonorKV | None:
        """Make the donor of a medium; None where the method has no use for one, or not all of it was computed.

        Args:
            exact: length of the prefix that was computed exactly, in tokens.
        """
        if self._method.compiles_donors:
            return self._compile(segment, first.planned.prepared.media.features[segment.key])
        computed = bool((first.result.depth[segment.start : segment.end] > 0).all())
        if first.capture is None or not computed:
            return None
        return donor_from_capture(self._sketch, first.capture, segment, exact=segment.end <= exact)

    def _compile(self, segment: MediaSegment, features: Tensor) -> DonorKV:
        before = self._donor_prefix(segment.grid.kind)
        return compile_donor(self._adapter, before, segment, features, self._probes, self._sketch)

    def _donor_prefix(self, kind: MediaKind) -> tuple[int, ...]:
        """Token ids before the medium in a compiled donor: none, or those of the chat template."""
        if self._method.donor_policy == "isolated":
            return ()
        placeholder = Media(kind, b"", "donor")
        return self._adapter.render((Message("user", (placeholder,)),)).texts[0]

    def _promote(self, prepared: PreparedRequest) -> None:
        """Put entries that were fetched from the host into the device tier again, if all of their tensors were."""
        for key, entry in prepared.media.entries.items():
            donor = prepared.fetched.get(key)
            if entry.on_host and (donor is not None or entry.donor is None):
                features = prepared.media.features[key].clone()
                self._stores.media.promote(key, MediaEntry(entry.grid, features, donor))
        if prepared.fetched_prefix is not None:
            self._stores.prefixes.promote(prepared.match, prepared.fetched_prefix)


def exact_tokens(prepared: PreparedRequest, plan: Plan, result: PrefillResult, layers: int) -> int:
    """Count the leading tokens whose keys and values are those of full recomputation, in all layers.

    Tokens behind a reusable one that were rehearsed are not: it was still stale, whatever was computed of it later.
    """
    inexact = result.depth < layers
    if plan.rehearsed is not None and prepared.reusable:
        behind = prepared.reusable[0].start
        inexact[behind:] |= plan.rehearsed[behind:]
    found = inexact[prepared.prefix_tokens :].nonzero()
    return prepared.prefix_tokens + int(found[0]) if len(found) else prepared.layout.tokens


def _symbols(prepared: PreparedRequest, tokens: int) -> Tensor:
    return torch.from_numpy(prepared.layout.symbols[:tokens])
