"""Read keys and values of an entry from its file layer by layer, each checked for itself.

In the file they are one tensor, ``(layers, 2, ...)``: keys and values of a layer, then those of the next, in the order
in which they are needed.
"""

from __future__ import annotations

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
from runners.engine.store.disk.file import BadEntry, StoredTensor, digest_of, read_into


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
        self._stream, self._tensor, self._kv, self._scale, self._drop = stream, tensor, kv, scale, drop
        self._checked = 0

    @property
    def complete(self) -> bool:
        """See ``Unread``."""
        return self._checked == len(self._tensor.digests)

    def read(self, layer: int) -> Check:
        """See ``Unread``."""
        rooms = tuple(tensor[layer] for tensor in self._kv)
        if self._scale is not None:
            rooms = tuple(torch.empty(self._tensor.shape[2:], dtype=torch.int8) for _ in rooms)
        pieces = [bytes_of(room) for room in rooms]
        try:
            for piece in pieces:
                for _ in read_into(self._stream, piece):
                    pass
        except (BadEntry, OSError, ValueError) as error:
            raise DamagedEntry(str(error), self._drop) from error
        return lambda: self._check(layer, rooms, pieces)

    def read_all(self) -> None:
        """Read all layers; BadEntry where one is damaged."""
        try:
            for layer in range(len(self._tensor.digests)):
                self.read(layer)()
        except DamagedEntry as error:
            raise BadEntry(str(error)) from error

    def _check(self, layer: int, rooms: Sequence[Tensor], pieces: Sequence[memoryview]) -> None:
        try:
            self._tensor.require(layer, digest_of(*pieces))
        except BadEntry as error:
            raise DamagedEntry(str(error), self._drop) from error
        if self._scale is not None:
            with torch.inference_mode():  # of the thread that checks
                for target, values, scale in zip(self._kv, rooms, self._scale[layer], strict=True):
                    target[layer] = restore_channels(Quantised(values, scale, target.dtype))
        self._checked = layer + 1


def bytes_of(tensor: Tensor) -> memoryview:
    """The bytes of a tensor: its own memory where it is contiguous on the host, else a copy's."""
    whole = tensor.detach().to("cpu").contiguous()
    numbers: NDArray[np.uint8] = whole.reshape(-1).view(torch.uint8).numpy()
    return numbers.data
