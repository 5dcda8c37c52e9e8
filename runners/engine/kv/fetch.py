"""Fetching: stored keys and values copied from host to device layer by layer, while other layers are computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

KV = tuple[Tensor, Tensor]
"""Keys and values, each ``(layers, ...)``."""


@dataclass(frozen=True)
class Fetched:
    """Keys and values being copied to the device.

    Attributes:
        pairs: the copies; a layer is undefined before ``wait`` was called for it.
    """

    pairs: tuple[KV, ...]
    _sources: tuple[KV, ...]
    _arrived: tuple[torch.cuda.Event, ...]

    def wait(self, layer: int) -> None:
        """Make all later work on the device wait for a layer's copies. On a CPU the layer is copied now."""
        if self._arrived:
            torch.cuda.current_stream(self.pairs[0][0].device).wait_event(self._arrived[layer])
            return
        for sources, targets in zip(self._sources, self.pairs, strict=True):
            for source, target in zip(sources, targets, strict=True):
                target[layer] = source[layer]


class Fetcher:
    """Copies from host to device; on a GPU on a stream of its own, so that copies overlap with other work."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def fetch(self, sources: Sequence[KV]) -> Fetched:
        """Start copying, all tensors of a layer before any of the next layer."""
        pairs = tuple((self._room_for(k), self._room_for(v)) for k, v in sources)
        if self._stream is None or not pairs:
            return Fetched(pairs, tuple(sources), ())
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        arrived = []
        with torch.cuda.stream(self._stream):
            for layer in range(len(pairs[0][0])):
                for pair, targets in zip(sources, pairs, strict=True):
                    for source, target in zip(pair, targets, strict=True):
                        target[layer].copy_(source[layer], non_blocking=True)
                arrived.append(torch.cuda.Event())
                arrived[-1].record(self._stream)
        for target in (tensor for pair in pairs for tensor in pair):
            target.record_stream(self._stream)
        return Fetched(pairs, tuple(sources), tuple(arrived))

    def fetch_now(self, source: Tensor) -> Tensor:
        """Copy a tensor that is needed at once."""
        return self._room_for(source).copy_(source, non_blocking=True)

    def _room_for(self, source: Tensor) -> Tensor:
        return torch.empty_like(source, device=self._device, pin_memory=False)


def to_host(tensor: Tensor) -> Tensor:
    """Copy a tensor to the host; pinned if it comes from a GPU, so that copying it back does not block the CPU."""
    copy = torch.empty_like(tensor, device="cpu", pin_memory=tensor.is_cuda)
    return copy.copy_(tensor)
