"""Puts the stored keys and values of reused media where the media stand now: keys rotated there, values as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from runners.engine.capability import lacks_triton
from runners.engine.rotary import rotate_into


@dataclass(frozen=True)
class Stored:
    """The tokens of one medium (or what a prefix leaves of it) in some layers.

    Attributes:
        start: index of the first token in the prompt.
        k, v: before RoPE and as is, each ``(layers, kv_heads, tokens, head_dim)``.
        cos, sin: rotary angles of where they stand, each ``(tokens, head_dim)``.
    """

    start: int
    k: Tensor
    v: Tensor
    cos: Tensor
    sin: Tensor

    @property
    def end(self) -> int:
        """Index after the last token."""
        return self.start + self.k.shape[2]

    def require_readable(self, k: Tensor, v: Tensor) -> None:
        """ValueError unless it fits what ``placing`` fills in, and lies as a kernel reads it that goes by addresses."""
        layers, kv_heads, capacity, head_dim = k.shape
        tokens = self.end - self.start
        tensors = (self.k, self.v, self.cos, self.sin)
        shapes = ((layers, kv_heads, tokens, head_dim),) * 2 + ((tokens, head_dim),) * 2
        if tuple(tuple(tensor.shape) for tensor in tensors) != shapes or not 0 <= self.start <= self.end <= capacity:
            raise ValueError("a stored medium does not fit the prompt's keys and values")
        if any(tensor.dtype != k.dtype or tensor.device != k.device for tensor in (*tensors, v)):
            raise ValueError("a stored medium and the prompt's keys and values differ in dtype or device")
        if any(tensor.stride()[-2:] != (head_dim, 1) for tensor in (*tensors, k, v)):
            raise ValueError("stored tokens, and the numbers of each, are to lie one after the other")


Place = Callable[[int, int], None]
"""Fills in the layers from one to before another."""


def placing(stored: Sequence[Stored], k: Tensor, v: Tensor) -> Place:
    """Fills in the keys (after RoPE) and values of media: with a kernel where Triton runs, else with torch.

    Both round alike, so that what is placed equals what ``rotate`` gives where tokens are computed; in float32, where
    a GPU may fuse a product and a sum, up to the last bit. What every layer needs is worked out once.

    Args:
        k, v: of the prompt, each ``(layers, kv_heads, capacity, head_dim)``; the layers are those of ``stored``.
    """
    if k.is_cuda and _has_triton(k.device):
        from runners.engine.triton_placing import placing_by_kernel

        return placing_by_kernel(stored, k, v)
    return placing_by_torch(stored, k, v)


@cache
def _has_triton(device: torch.device) -> bool:
    return lacks_triton(device) is None


def placing_by_torch(stored: Sequence[Stored], k: Tensor, v: Tensor) -> Place:
    """The reference of ``placing``."""

    def place(first: int, last: int) -> None:
        layers = slice(first, last)
        for medium in stored:
            span = slice(medium.start, medium.end)
            rotate_into(k[layers, :, span], medium.k[layers], medium.cos, medium.sin)
            v[layers, :, span] = medium.v[layers]

    return place
