"""Encoder attention within windows and pictures: one call for a run of segments of a length, not one for each of them.

The stock encoders of the Qwen-VL families call torch's attention once for each window or picture of each layer, 17,500
times for a picture of 10,000 tokens in Qwen2.5-VL: a GPU then waits for launches. Without flash-attn they have no other
way: the lengths of segments are handed to flash-attn alone, which transformers knows by its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
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
    runs = [(length, len(list(run))) for length, run in groupby(cu_seq_lens_q.diff().tolist())]
    sizes = [length * count for length, count in runs]
    queries, keys, values = (x[0].split(sizes, dim=1) for x in (query, key, value))
    attended = [
        _attend(q, k, v, length, scaling) for q, k, v, (length, _) in zip(queries, keys, values, runs, strict=True)
    ]
    return (attended[0] if len(attended) == 1 else torch.cat(attended))[None], None


def _attend(query: Tensor, key: Tensor, value: Tensor, length: int, scaling: float) -> Tensor:
    """Attend within segments of one length, ``(heads, patches, head_dim)``, none of which is copied.

    Returns:
        ``(patches, heads, head_dim)``.
    """
    q, k, v = (x.unflatten(1, (-1, length)).transpose(0, 1) for x in (query, key, value))
    return scaled_dot_product_attention(q, k, v, scale=scaling).transpose(1, 2).flatten(0, 1)


AttentionInterface.register(NAME, attend_segments)
