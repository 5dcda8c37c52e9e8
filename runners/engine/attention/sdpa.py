"""torch's scaled dot product attention: the reference backend, on every device."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def attend(q: Tensor, k: Tensor, v: Tensor, index: Tensor | None) -> Tensor:
    """Causal attention of some tokens over the keys of a whole prompt.

    Args:
        q: rotated queries, ``(heads, queries, head_dim)``.
        k, v: rotated keys and values of tokens 0, 1, ..., each ``(kv_heads, tokens, head_dim)``.
        index: ascending token index of every query, ``(queries,)``: a query sees the keys up to its own.
            None when the queries are all the tokens.

    Returns:
        ``(queries, heads * head_dim)``.
    """
    groups = q.shape[0] // k.shape[0]
    if index is None:
        mask = None
    else:
        mask = torch.arange(k.shape[1], device=q.device) <= index[:, None]
    if groups > 1:
        k, v = k.repeat_interleave(groups, dim=0), v.repeat_interleave(groups, dim=0)
    attended = scaled_dot_product_attention(q[None], k[None], v[None], attn_mask=mask, is_causal=mask is None)[0]
    return attended.transpose(0, 1).reshape(q.shape[1], -1)
