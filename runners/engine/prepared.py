"""A request ready for prefill: laid out, with reused keys and values in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from runners.engine.kv.buffer import KVBuffer
from runners.engine.method import Reusable
from runners.engine.prompt.layout import Layout
from runners.engine.prompt.resolve import ResolvedMedia
from runners.engine.prompt.tensors import PromptTensors
from runners.engine.store.entries import DonorKV, MediaEntry, PrefixEntry
from runners.engine.store.prefix_store import Match


@dataclass(frozen=True)
class PreparedRequest:
    """A request between the look-up in the stores and the plan.

    Attributes:
        kv: the request's KV cache, with the keys and values of ``match`` and ``reusable`` in place, or on their way.
        match: the exact prefix that is reused.
        reusable: the vision tokens whose stored keys and values were put in place.
        required: depth of every token if nothing reusable is recomputed, see ``PlanContext``.
        rotated: vision tokens put in place by medium, with keys rotated to their new positions.
        fetched, fetched_prefix: copies on the device of entries that only the host tier had: donors by content key,
            and the prefix; complete once every layer was used.
    """

    layout: Layout
    media: ResolvedMedia
    prompt: PromptTensors
    kv: KVBuffer
    match: Match
    reusable: Sequence[Reusable]
    required: Tensor
    rotated: int
    fetched: Mapping[str, DonorKV]
    fetched_prefix: PrefixEntry | None

    @property
    def prefix_tokens(self) -> int:
        """Tokens of the exact prefix that is reused."""
        return self.match.tokens

    @property
    def loaded(self) -> Tensor:
        """Which tokens have stored keys and values in place, ``(tokens,)`` bool on the CPU."""
        mask = torch.zeros(self.layout.tokens, dtype=torch.bool)
        mask[: self.prefix_tokens] = True
        for part in self.reusable:
            mask[part.start : part.end] = True
        return mask

    @property
    def fetched_bytes(self) -> int:
        """Bytes copied from the host to the device for this request."""
        of_prefix = self.fetched_prefix.nbytes if self.fetched_prefix is not None else 0
        return of_prefix + sum(donor.nbytes for donor in self.fetched.values())

    @property
    def found_on_host(self) -> bool:
        """Whether the stores had entries for this request, and only the host tier had them."""
        found: list[MediaEntry | PrefixEntry] = [*self.media.entries.values()]
        if self.match.entry is not None:
            found.append(self.match.entry)
        return bool(found) and all(entry.on_host and not entry.on_disk for entry in found)
