"""Puts the stored keys and values of reused media where the media stand now: keys rotated there, values as they are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from runners.engine.attention.capability import lacks_triton
from runners.engine.kv.rotary import rotate_into
from runners.engine.kv.stored import Place, StoredKV


def placing(stored: Sequence[StoredKV], k: Tensor, v: Tensor) -> Place:
    """Fills in the keys (after RoPE) and values of media: with a kernel where Triton runs, else with torch.

    Both round alike, so that what is placed equals what ``rotate`` gives where tokens are computed; in float32, where
    a GPU may fuse a product and a sum, up to the last bit. What every layer needs is worked out once.

    Args:
        k, v: of the prompt, each ``(layers, kv_heads, capacity, head_dim)``; the layers are those of ``stored``.
    """
    if k.is_cuda and _has_triton(k.device):
        from runners.engine.kv.triton_placing import placing_by_kernel

        return placing_by_kernel(stored, k, v)
    return placing_by_torch(stored, k, v)


@cache
def _has_triton(device: torch.device) -> bool:
    return lacks_triton(device) is None


def placing_by_torch(stored: Sequence[StoredKV], k: Tensor, v: Tensor) -> Place:
    """The reference of ``placing``."""

    def place(first: int, last: int) -> None:
        layers = slice(first, last)
        for medium in stored:
            span = slice(medium.start, medium.end)
            rotate_into(k[layers, :, span], medium.k[layers], medium.cos, medium.sin)
            v[layers, :, span] = medium.v[layers]

    return place
