"""Brings stored keys and values from the host's memory to the device's, layer by layer, while others are computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

KV = tuple[Tensor, Tensor]
"""Keys and values, each ``(layers, ...)``."""


@dataclass(frozen=True)
class Fetched:
    """Keys and values on their way.

    Attributes:
        pairs: on the device; a layer is undefined until it was waited for.
    """

    pairs: tuple[KV, ...]
    _sources: tuple[KV, ...]
    _arrived: tuple[torch.cuda.Event, ...]

    def wait(self, layer: int) -> None:
        """Have what is asked of the device from now on see this layer. On a CPU it is copied here and now."""
        if self._arrived:
            torch.cuda.current_stream(self.pairs[0][0].device).wait_event(self._arrived[layer])
            return
        for sources, targets in zip(self._sources, self.pairs, strict=True):
            for source, target in zip(sources, targets, strict=True):
                target[layer] = source[layer]


class Fetcher:
    """Fetches for one device: on a GPU on a stream of its own, from pinned memory, so that copies overlap with work."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def fetch(self, sources: Sequence[KV]) -> Fetched:
        """Start fetching from the host, all of a layer before any of the next."""
        pairs = tuple((self._room_for(k), self._room_for(v)) for k, v in sources)
        if self._stream is None or not pairs:
            return Fetched(pairs, tuple(sources), ())
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        arrived = []
        with torch.cuda.stream(self._stream):
            for layer in range(len(pairs[0][0])):
                for held, targets in zip(sources, pairs, strict=True):
                    for source, target in zip(held, targets, strict=True):
                        target[layer].copy_(source[layer], non_blocking=True)
                arrived.append(torch.cuda.Event())
                arrived[-1].record(self._stream)
        for target in (tensor for pair in pairs for tensor in pair):
            target.record_stream(self._stream)
        return Fetched(pairs, tuple(sources), tuple(arrived))

    def fetch_now(self, source: Tensor) -> Tensor:
        """A copy on the device of what is needed at once."""
        return self._room_for(source).copy_(source, non_blocking=True)

    def _room_for(self, source: Tensor) -> Tensor:
        return torch.empty_like(source, device=self._device, pin_memory=False)


def to_host(tensor: Tensor) -> Tensor:
    """A copy in the host's memory: pinned where a GPU is to read it, so that its copies need not wait for the CPU."""
    copy = torch.empty_like(tensor, device="cpu", pin_memory=tensor.is_cuda)
    return copy.copy_(tensor)
