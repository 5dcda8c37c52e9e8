"""Loading: stored keys and values of the exact prefix and of reused media, put into the KV cache of a request."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from runners.engine.adapters.base import Adapter
from runners.engine.kv.fetch import Fetched, Fetcher
from runners.engine.kv.placing import placing
from runners.engine.kv.stored import StoredKV
from runners.engine.kv.workspace import Workspace
from runners.engine.method import Method, Reusable
from runners.engine.prepared import PreparedRequest
from runners.engine.prompt.layout import Layout
from runners.engine.prompt.resolve import ResolvedMedia
from runners.engine.prompt.tensors import PromptTensors
from runners.engine.store.entries import DonorKV, PrefixEntry
from runners.engine.store.prefix_store import Match


@dataclass(frozen=True)
class _Incoming:
    """Entries of the host tier and the disk's on their way to the device.

    Attributes:
        fetched: when which layer arrives.
        donors: by the content key of their media.
        prefix: the exact prefix; None where there is none or the device has it.
    """

    fetched: Fetched
    donors: dict[str, DonorKV]
    prefix: PrefixEntry | None


@dataclass(frozen=True)
class Loader:
    """Loads for one method of one model: entries on the device at once, entries on the host and on disk layer by layer.

    Attributes:
        workspace: memory for a request's keys and values.
        fetcher: copies from the host to the device.
    """

    adapter: Adapter
    workspace: Workspace
    method: Method
    fetcher: Fetcher

    def load(
        self, layout: Layout, media: ResolvedMedia, prompt: PromptTensors, match: Match, room: int
    ) -> PreparedRequest:
        """Prepare the KV cache of a prompt and ``room`` more tokens, with stored keys and values in place."""
        kv = self.workspace.kv(layout.tokens + room)
        parts = self._reusable(layout, media, match.tokens)
        incoming = self._fetch(parts, media, match.entry)
        reusable = [replace(part, donor=incoming.donors.get(part.key, part.donor)) for part in parts]
        required = torch.full((layout.tokens,), self.adapter.shape.layers)
        required[: match.tokens] = 0
        for part in reusable:
            required[part.start : part.end] = 0

        k, v, matched = kv.k, kv.v, slice(match.tokens)
        if match.entry is not None and not match.entry.on_host:
            k[:, :, matched], v[:, :, matched] = match.entry.k[:, :, matched], match.entry.v[:, :, matched]
        at_hand: list[StoredKV] = []
        fetched: list[StoredKV] = []
        for part in reusable:
            (fetched if part.key in incoming.donors else at_hand).append(self._moved(part, prompt, layout))
        placing(at_hand, k, v)(0, len(k))
        place = placing(fetched, k, v)

        def arrive(layer: int) -> None:
            incoming.fetched.wait(layer)
            if incoming.prefix is not None:
                k[layer, :, matched] = incoming.prefix.k[layer, :, matched]
                v[layer, :, matched] = incoming.prefix.v[layer, :, matched]
            place(layer, layer + 1)

        if incoming.fetched.pairs:
            kv.expect(arrive)
        return PreparedRequest(
            layout=layout,
            media=media,
            prompt=prompt,
            kv=kv,
            match=match,
            reusable=reusable,
            required=required,
            rotated=sum(part.cos.shape[0] for part in (*at_hand, *fetched)) if self.method.rotates else 0,
            fetched=incoming.donors,
            fetched_prefix=incoming.prefix,
        )

    def _reusable(self, layout: Layout, media: ResolvedMedia, matched: int) -> list[Reusable]:
        """The vision tokens after the exact prefix that have stored keys and values, by medium."""
        parts = []
        for segment in layout.segments if self.method.uses_kv else ():
            entry = media.entries.get(segment.key)
            if entry is not None and entry.donor is not None and segment.end > matched:
                start = max(segment.start, matched)
                parts.append(Reusable(segment.key, start, segment.end, start - segment.start, entry.donor))
        return parts

    def _fetch(self, parts: list[Reusable], media: ResolvedMedia, prefix: PrefixEntry | None) -> _Incoming:
        """Start copying what only the host tier has, and reading what only the disk has, each medium once."""
        on_host = {part.key: part.donor for part in parts if media.entries[part.key].on_host}
        found: list[DonorKV | PrefixEntry] = [*on_host.values()]
        if prefix is not None and prefix.on_host:
            found.append(prefix)
        sources, unread = [(entry.k, entry.v) for entry in found], [entry.unread for entry in found]
        fetched = self.fetcher.read(sources, unread) if any(unread) else self.fetcher.fetch(sources)
        donors = {}
        for (key, donor), (k, v) in zip(on_host.items(), fetched.pairs, strict=False):
            probe = donor.probe.copied(self.fetcher.fetch_now) if donor.probe is not None else None
            donors[key] = replace(donor, k=k, v=v, probe=probe, unread=None)
        if prefix is None or not prefix.on_host:
            return _Incoming(fetched, donors, None)
        k, v = fetched.pairs[-1]
        return _Incoming(fetched, donors, replace(prefix, k=k, v=v, on_host=False, on_disk=False, unread=None))

    def _moved(self, part: Reusable, prompt: PromptTensors, layout: Layout) -> StoredKV:
        """Stored keys and values with the angles of their new positions (or, as a control, of those in the donor)."""
        span = slice(part.start, part.end)
        if self.method.rotates:
            cos, sin = prompt.cos[span], prompt.sin[span]
        else:
            segment = next(segment for segment in layout.segments if segment.end == part.end)
            moved = layout.positions[:, span] - segment.position + part.donor.position
            cos, sin = self.adapter.rotary(moved.to(self.adapter.device))
        return StoredKV(part.start, part.donor.k[:, :, part.offset :], part.donor.v[:, :, part.offset :], cos, sin)
