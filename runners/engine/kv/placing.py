"""Placing: stored keys, rotated to new positions, and stored values are written into the KV cache of a request."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from runners.engine.attention.capability import lacks_triton
from runners.engine.kv.rotary import rotate_into
from runners.engine.kv.stored import Place, StoredKV


def placing(stored: Sequence[StoredKV], k: Tensor, v: Tensor) -> Place:
    """Prepare to write keys (after RoPE) and values of media, by a kernel where Triton runs, else by torch.

    Both round alike, so that placed keys equal those that ``rotate`` gives when tokens are computed; in float32 up to
    the last bit, for a GPU may fuse a product and a sum. Preparations that serve all layers are made once, here.

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
    """``placing`` in plain torch, the reference."""

    def place(first: int, last: int) -> None:
        layers = slice(first, last)
        for medium in stored:
            span = slice(medium.start, medium.end)
            rotate_into(k[layers, :, span], medium.k[layers], medium.cos, medium.sin)
            v[layers, :, span] = medium.v[layers]

    return place
