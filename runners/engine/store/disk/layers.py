"""Read keys and values of an entry from its file layer by layer, each checked for itself.

In the file they are one tensor, ``(layers, 2, ...)``: keys and values of a layer, then those of the next, in the order
in which they are needed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runners.engine.errors import DamagedEntry
from runners.engine.kv.fetch import KV
from runners.engine.kv.quantise import Quantised, restore_channels
from runners.engine.kv.read_ahead import Check
from runners.engine.store.disk.file import BadEntry, StoredTensor, digest_of
from runners.engine.store.disk.folder import ask_for

AHEAD = 8 << 20
"""Bytes that the system is asked to read before they are needed."""


class StoredLayers:
    """Keys and values in an open file, which stands where the first layer begins; see ``Unread``.

    Args:
        tensor: the keys and values in the file, a part for each layer.
        kv: what they are read into.
        scale: of keys and values that have 8 bits in the file, ``(layers, 2, kv_heads, head_dim, 1)``; else None.
        drop: removes the entry, and counts it as a bad one.
    """

    def __init__(
        self, stream: BinaryIO, tensor: StoredTensor, kv: KV, scale: Tensor | None, drop: Callable[[], None]
    ) -> None:
        self._descriptor, self._start = stream.fileno(), stream.tell()
        self._tensor, self._kv, self._scale, self._drop = tensor, kv, scale, drop
        self._rooms = tuple(bytes_of(half) for half in kv)
        self._checked = self._asked = 0
        self._ask(AHEAD)

    @property
    def complete(self) -> bool:
        """See ``Unread``."""
        return self._checked == len(self._tensor.digests)

    def read(self, layer: int) -> Check:
        """See ``Unread``."""
        size = self._tensor.part_bytes // 2
        if self._scale is None:
            pieces = [room[layer * size : (layer + 1) * size] for room in self._rooms]
        else:
            pieces = [memoryview(bytearray(size)) for _ in self._rooms]
        self._ask((layer + 1) * self._tensor.part_bytes + AHEAD)
        try:
            _read_at(self._descriptor, pieces, self._start + layer * self._tensor.part_bytes)
        except (BadEntry, OSError) as error:
            raise DamagedEntry(str(error), self._drop) from error
        return lambda: self._check(layer, pieces)

    def read_all(self) -> None:
        """Read all layers; BadEntry where one is damaged."""
        try:
            for layer in range(len(self._tensor.digests)):
                self.read(layer)()
        except DamagedEntry as error:
            raise BadEntry(str(error)) from error

    def _ask(self, end: int) -> None:
        """Ask the system to read the first ``end`` bytes, in the order of the file, without waiting for them."""
        end = min(end, self._tensor.nbytes)
        if end > self._asked:
            ask_for(self._descriptor, self._start + self._asked, end - self._asked)
            self._asked = end

    def _check(self, layer: int, pieces: Sequence[memoryview]) -> None:
        try:
            self._tensor.require(layer, digest_of(*pieces))
        except BadEntry as error:
            raise DamagedEntry(str(error), self._drop) from error
        if self._scale is not None:
            with torch.inference_mode():  # of the thread that checks
                for target, piece, scale in zip(self._kv, pieces, self._scale[layer], strict=True):
                    values = torch.frombuffer(piece, dtype=torch.int8).view(self._tensor.shape[2:])
                    target[layer] = restore_channels(Quantised(values, scale, target.dtype))
        self._checked = layer + 1


def _read_at(descriptor: int, pieces: Sequence[memoryview], offset: int) -> None:
    """Fill ``pieces``, one after the other, from a place of a file; BadEntry where it ends before."""
    left = list(pieces)
    while left:
        count = os.preadv(descriptor, left, offset)
        if not count:
            raise BadEntry("it ends before its tensors do")
        offset += count
        while left and count >= len(left[0]):
            count -= len(left.pop(0))
        if count:
            left[0] = left[0][count:]


def bytes_of(tensor: Tensor) -> memoryview:
    """The bytes of a tensor: its own memory where it is contiguous on the host, else a copy's."""
    whole = tensor.detach().to("cpu").contiguous()
    numbers: NDArray[np.uint8] = whole.reshape(-1).view(torch.uint8).numpy()
    return numbers.data
