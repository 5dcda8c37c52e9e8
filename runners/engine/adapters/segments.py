"""Encoder attention within windows and pictures: one call for all segments of a length, not one for each segment.

The stock encoders of the Qwen-VL families call torch's attention once for each window or picture of each layer, a
picture of 10,000 tokens in Qwen2.5-VL 17,500 times: a GPU then waits for launches. Without flash-attn that is the only
way they have; the lengths of segments are handed to flash-attn alone, which transformers knows by its name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

STOCK = "sdpa"
NAME = "flash_by_segments"  # transformers hands lengths to whatever has "flash" in its name


@contextmanager
def attention_by_segments(encoder: Any) -> Iterator[None]:
    """Let a stock encoder attend by ``attend_segments``; one that was told another way than torch's keeps it."""
    config = encoder.config
    before = config._attn_implementation
    if before == STOCK:
        config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = before


def attend_segments(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: None,
    *,
    scaling: float,
    cu_seq_lens_q: Tensor,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attend within segments, which follow each other; an attention function of transformers.

    Args:
        query, key, value: ``(1, heads, patches, head_dim)``.
        cu_seq_lens_q: where segments end, from 0 on, ``(segments + 1,)``.

    Returns:
        ``(1, patches, heads, head_dim)``, and no attention weights.
    """
    lengths = cu_seq_lens_q.diff().tolist()
    starts = defaultdict(list)
    for start, length in zip(accumulate(lengths, initial=0), lengths, strict=False):
        starts[length].append(start)
    if len(starts) == 1:
        return _attend(query, key, value, lengths[0], scaling), None
    attended = torch.empty_like(query.transpose(1, 2), memory_format=torch.contiguous_format)
    for length, begins in starts.items():
        at = _tokens(begins, length, query.device)
        attended[:, at] = _attend(query[:, :, at], key[:, :, at], value[:, :, at], length, scaling)
    return attended, None


def _tokens(begins: list[int], length: int, device: torch.device) -> slice | Tensor:
    """Where segments of a length are: a slice of a single one, of which nothing is copied, else indices."""
    if len(begins) == 1:
        return slice(begins[0], begins[0] + length)
    places = torch.tensor(begins)[:, None] + torch.arange(length)
    return places.flatten().to(device, non_blocking=True)


def _attend(query: Tensor, key: Tensor, value: Tensor, length: int, scaling: float) -> Tensor:
    """Attend within segments of one length: these to ``(segments, heads, length, head_dim)`` and back."""
    q, k, v = (x[0].unflatten(1, (-1, length)).transpose(0, 1) for x in (query, key, value))
    attended = scaled_dot_product_attention(q, k, v, scale=scaling)
    return attended.transpose(1, 2).flatten(0, 1)[None]


AttentionInterface.register(NAME, attend_segments)
