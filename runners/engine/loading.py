"""Puts the exact prefix and the reused media's keys and values of a request in place; the rest is to be computed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from runners.engine.adapters.base import Adapter
from runners.engine.kv.fetch import Fetched, Fetcher
from runners.engine.kv.placing import placing
from runners.engine.kv.stored import Stored
from runners.engine.kv.workspace import Workspace
from runners.engine.method import Method, Reusable
from runners.engine.prompt.layout import Layout
from runners.engine.prompt.resolve import ResolvedMedia
from runners.engine.prompt.tensors import PromptTensors
from runners.engine.store.entries import DonorKV, PrefixEntry
from runners.engine.store.prefix_store import Match
from runners.engine.work import Work


@dataclass(frozen=True)
class _Incoming:
    """What the host holds of a request's keys and values, on its way to the device.

    Attributes:
        donors: by the content key of their media.
    """

    fetched: Fetched
    donors: dict[str, DonorKV]
    prefix: PrefixEntry | None


@dataclass(frozen=True)
class Loader:
    """Loads for one method of one model: what the device holds at once, what the host holds layer by layer.

    Attributes:
        workspace: memory for a request's keys and values.
        fetcher: brings what the host holds.
    """

    adapter: Adapter
    workspace: Workspace
    method: Method
    fetcher: Fetcher

    def load(self, layout: Layout, media: ResolvedMedia, prompt: PromptTensors, match: Match, room: int) -> Work:
        """Lay out keys and values of a prompt and ``room`` more tokens, those of ``match`` and ``media`` in place."""
        kv = self.workspace.kv(layout.tokens + room)
        found = self._reusable(layout, media, match.tokens)
        incoming = self._fetch(found, media, match.entry)
        reusable = [replace(part, donor=incoming.donors.get(part.key, part.donor)) for part in found]
        required = torch.full((layout.tokens,), self.adapter.shape.layers)
        required[: match.tokens] = 0
        for part in reusable:
            required[part.start : part.end] = 0

        k, v, matched = kv.k, kv.v, slice(match.tokens)
        if match.entry is not None and not match.entry.on_host:
            k[:, :, matched], v[:, :, matched] = match.entry.k[:, :, matched], match.entry.v[:, :, matched]
        moved = [(part.key in incoming.donors, self._moved(part, prompt, layout)) for part in reusable]
        placing([stored for comes, stored in moved if not comes], k, v)(0, len(k))
        place = placing([stored for comes, stored in moved if comes], k, v)

        def arrive(layer: int) -> None:
            incoming.fetched.wait(layer)
            if incoming.prefix is not None:
                k[layer, :, matched] = incoming.prefix.k[layer, :, matched]
                v[layer, :, matched] = incoming.prefix.v[layer, :, matched]
            place(layer, layer + 1)

        if incoming.fetched.pairs:
            kv.expect(arrive)
        return Work(layout, media, prompt, kv, match, reusable, required, incoming.donors, incoming.prefix)

    def _reusable(self, layout: Layout, media: ResolvedMedia, matched: int) -> list[Reusable]:
        """The parts of media that an exact prefix leaves and whose keys and values are held."""
        parts = []
        for segment in layout.segments if self.method.uses_kv else ():
            entry = media.entries.get(segment.key)
            if entry is not None and entry.donor is not None and segment.end > matched:
                start = max(segment.start, matched)
                parts.append(Reusable(segment.key, start, segment.end, start - segment.start, entry.donor))
        return parts

    def _fetch(self, parts: list[Reusable], media: ResolvedMedia, prefix: PrefixEntry | None) -> _Incoming:
        """Start fetching what the host holds, each medium once."""
        on_host = {part.key: part.donor for part in parts if media.entries[part.key].on_host}
        sources = [(donor.k, donor.v) for donor in on_host.values()]
        if prefix is not None and prefix.on_host:
            sources.append((prefix.k, prefix.v))
        fetched = self.fetcher.fetch(sources)
        donors = {}
        for (key, donor), (k, v) in zip(on_host.items(), fetched.pairs, strict=False):
            probe = donor.probe.copied(self.fetcher.fetch_now) if donor.probe is not None else None
            donors[key] = replace(donor, k=k, v=v, probe=probe)
        if prefix is None or not prefix.on_host:
            return _Incoming(fetched, donors, None)
        k, v = fetched.pairs[-1]
        return _Incoming(fetched, donors, replace(prefix, k=k, v=v, on_host=False))

    def _moved(self, part: Reusable, prompt: PromptTensors, layout: Layout) -> Stored:
        """What is stored of a medium, to be rotated to where it stands now (or, as a control, stood then)."""
        span = slice(part.start, part.end)
        if self.method.rotates:
            cos, sin = prompt.cos[span], prompt.sin[span]
        else:
            segment = next(segment for segment in layout.segments if segment.end == part.end)
            moved = layout.positions[:, span] - segment.position + part.donor.position
            cos, sin = self.adapter.rotary(moved.to(self.adapter.device))
        return Stored(part.start, part.donor.k[:, :, part.offset :], part.donor.v[:, :, part.offset :], cos, sin)
