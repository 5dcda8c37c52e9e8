"""One request between its first and its last token: what is at hand, and what has to be computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from runners.engine.kv.buffer import KVBuffer
from runners.engine.method import Reusable
from runners.engine.prompt.layout import Layout
from runners.engine.prompt.resolve import ResolvedMedia
from runners.engine.prompt.tensors import PromptTensors
from runners.engine.store.entries import DonorKV, PrefixEntry
from runners.engine.store.prefix_store import Match


@dataclass(frozen=True)
class Work:
    """A laid-out request with its media, and the keys and values in place that are reused.

    Attributes:
        match: the exactly equal prefix that is taken over.
        reusable: media parts whose keys and values were put in place.
        required: depth of every token if nothing reusable is recomputed, see ``PlanContext``.
        fetched, fetched_prefix: what was brought to the device for this request, whole once all layers were used.
    """

    layout: Layout
    media: ResolvedMedia
    prompt: PromptTensors
    kv: KVBuffer
    match: Match
    reusable: Sequence[Reusable]
    required: Tensor
    fetched: Mapping[str, DonorKV]
    fetched_prefix: PrefixEntry | None

    @property
    def prefix_tokens(self) -> int:
        """Tokens taken over with an exactly equal prefix."""
        return self.match.tokens

    @property
    def fetched_bytes(self) -> int:
        """Bytes that were brought to the device."""
        of_prefix = self.fetched_prefix.nbytes if self.fetched_prefix is not None else 0
        return of_prefix + sum(donor.nbytes for donor in self.fetched.values())

    @property
    def found_on_host(self) -> bool:
        """Whether something was found in the stores, and all of it by the host tier alone."""
        on_host = [entry.on_host for entry in self.media.entries.values()]
        if self.match.entry is not None:
            on_host.append(self.match.entry.on_host)
        return bool(on_host) and all(on_host)
