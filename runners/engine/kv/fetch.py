"""Fetching: stored keys and values copied from host to device layer by layer, while other layers are computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from runners.engine.kv.read_ahead import Arrived, ReadAhead, Reading, ReadInTurn, Unread

KV = tuple[Tensor, Tensor]
"""Keys and values, each ``(layers, ...)``."""
FEW_BYTES = 4 << 20
"""So many bytes are read without threads: these would take longer to start and to wake than they gain."""


@dataclass(frozen=True)
class Fetched:
    """Keys and values being copied to the device.

    Attributes:
        pairs: the copies; a layer is undefined before ``wait`` was called for it.
    """

    pairs: tuple[KV, ...]
    _sources: tuple[KV, ...]
    _arrived: tuple[torch.cuda.Event, ...]
    _reading: Reading | None = None

    def wait(self, layer: int) -> None:
        """Make all later work on the device wait for a layer's copies. On a CPU the layer is copied now.

        Raises:
            DamagedEntry: what is read from disk for this layer, or one before it, is damaged.
        """
        if self._reading is not None:
            self._reading.wait(layer)
        if self._arrived:
            torch.cuda.current_stream(self.pairs[0][0].device).wait_event(self._arrived[layer])
            return
        for sources, targets in zip(self._sources, self.pairs, strict=True):
            for source, target in zip(sources, targets, strict=True):
                if target is not source:
                    target[layer] = source[layer]


class Fetcher:
    """Copies from host to device; on a GPU on a stream of its own, so that copies overlap with other work."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._reading: Reading | None = None

    def fetch(self, sources: Sequence[KV]) -> Fetched:
        """Start copying, all tensors of a layer before any of the next layer."""
        pairs = tuple((self._room_for(k), self._room_for(v)) for k, v in sources)
        if self._stream is None or not pairs:
            return Fetched(pairs, tuple(sources), ())
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        arrived = tuple(torch.cuda.Event() for _ in pairs[0][0])
        with torch.cuda.stream(self._stream):
            for layer in range(len(arrived)):
                _copy(sources, pairs, arrived, layer)
        self._record(pairs)
        return Fetched(pairs, tuple(sources), arrived)

    def read(self, sources: Sequence[KV], unread: Sequence[Unread | None]) -> Fetched:
        """Start reading, and copying every layer once it was read.

        On a CPU tensors that are just being read are not copied: nobody else has them.

        Args:
            unread: of every source, see ``Unread``; None where it lies in the host's memory.
        """
        if self._stream is None:
            pairs = tuple(
                source if part is not None else (self._room_for(source[0]), self._room_for(source[1]))
                for source, part in zip(sources, unread, strict=True)
            )
            self._reading = _reading(sources, unread, lambda layer: None)
            return Fetched(pairs, tuple(sources), (), self._reading)
        pairs = tuple((self._room_for(k), self._room_for(v)) for k, v in sources)
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        arrived = tuple(torch.cuda.Event() for _ in pairs[0][0])
        self._record(pairs)

        def copy(layer: int) -> None:
            with torch.inference_mode(), torch.cuda.stream(self._stream):  # of the thread that reads
                _copy(sources, pairs, arrived, layer)

        self._reading = _reading(sources, unread, copy)
        return Fetched(pairs, tuple(sources), arrived, self._reading)

    def stop(self) -> None:
        """End what is still being read; layers that have not arrived never will."""
        if self._reading is not None:
            self._reading.stop()
            self._reading = None

    def fetch_now(self, source: Tensor) -> Tensor:
        """Copy a tensor that is needed at once."""
        return self._room_for(source).copy_(source, non_blocking=True)

    def _record(self, pairs: Sequence[KV]) -> None:
        """Keep the memory of copies until the stream is done with them."""
        assert self._stream is not None
        for target in (tensor for pair in pairs for tensor in pair):
            target.record_stream(self._stream)

    def _room_for(self, source: Tensor) -> Tensor:
        return torch.empty_like(source, device=self._device, pin_memory=False)


def _copy(sources: Sequence[KV], pairs: Sequence[KV], arrived: Sequence[torch.cuda.Event], layer: int) -> None:
    """Enqueue the copies of a layer on the current stream."""
    for pair, targets in zip(sources, pairs, strict=True):
        for source, target in zip(pair, targets, strict=True):
            target[layer].copy_(source[layer], non_blocking=True)
    arrived[layer].record()


def _reading(sources: Sequence[KV], unread: Sequence[Unread | None], arrived: Arrived) -> Reading:
    """Read what is unread of sources, in turn or, of many bytes, ahead."""
    waiting = [source for source in unread if source is not None]
    nbytes = sum(k.nbytes + v.nbytes for (k, v), source in zip(sources, unread, strict=True) if source is not None)
    return ReadInTurn(waiting, arrived) if nbytes <= FEW_BYTES else ReadAhead(waiting, len(sources[0][0]), arrived)


def to_host(tensor: Tensor) -> Tensor:
    """Copy a tensor to the host; pinned if it comes from a GPU, so that copying it back does not block the CPU."""
    copy = torch.empty_like(tensor, device="cpu", pin_memory=tensor.is_cuda)
    return copy.copy_(tensor)
