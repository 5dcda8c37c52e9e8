"""torch's scaled dot product attention: the reference backend, on every device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

WORTH_A_CALL = 8192  # query-key pairs whose saving pays for one call more


@dataclass(frozen=True)
class Span:
    """Neighbouring queries that look back over the same keys.

    Attributes:
        start, end: which queries, half open.
        reach: they see keys before this one.
        mask: 0 where a query sees a key and -inf where not, once for each head of a group,
            ``(groups * (end - start), reach)``.
    """

    start: int
    end: int
    reach: int
    mask: Tensor


@dataclass(frozen=True)
class LookBack:
    """Which keys a subset of tokens sees: all up to the token itself. Made once, used in many layers."""

    spans: tuple[Span, ...]


def look_back(index: Tensor, groups: int, dtype: torch.dtype) -> LookBack:
    """What tokens with these ascending indices, ``(queries,)``, see, with ``groups`` query heads per key head.

    The first queries often see few keys (the text before a picture), the last ones nearly all: two spans are made
    where that saves enough work.
    """
    queries, reach = len(index), int(index[-1]) + 1
    cut = 0
    if queries > 1:
        first = torch.arange(1, queries, device=index.device)
        saved = first * (reach - 1 - index[:-1])
        best = int(saved.argmax())
        cut = best + 1 if int(saved[best]) > WORTH_A_CALL else 0
    borders = [(0, cut), (cut, queries)] if cut else [(0, queries)]
    return LookBack(tuple(_span(index, start, end, groups, dtype) for start, end in borders))


def _span(index: Tensor, start: int, end: int, groups: int, dtype: torch.dtype) -> Span:
    reach = int(index[end - 1]) + 1
    hidden = torch.arange(reach, device=index.device) > index[start:end, None]
    mask = torch.zeros(hidden.shape, dtype=dtype, device=index.device).masked_fill_(hidden, -torch.inf)
    return Span(start, end, reach, mask.repeat(groups, 1))


def attend(q: Tensor, k: Tensor, v: Tensor, view: LookBack | None) -> Tensor:
    """Causal attention of some tokens over the keys of a whole prompt.

    Args:
        q: rotated queries, ``(heads, queries, head_dim)``.
        k, v: rotated keys and values of tokens 0, 1, ..., each ``(kv_heads, tokens, head_dim)``.
        view: which keys each query sees; None when the queries are all the tokens.

    Returns:
        ``(queries, heads * head_dim)``.
    """
    queries = q.shape[1]
    if view is None:
        groups = q.shape[0] // k.shape[0]
        if groups > 1:
            k, v = k.repeat_interleave(groups, dim=0), v.repeat_interleave(groups, dim=0)
        attended = scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True)[0]
    else:
        parts = [_attend_span(q[:, span.start : span.end], k, v, span) for span in view.spans]
        attended = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
    return attended.transpose(0, 1).reshape(queries, -1)


def _attend_span(q: Tensor, k: Tensor, v: Tensor, span: Span) -> Tensor:
    """One call, ``(heads, queries, head_dim)``: the query heads of a group go side by side, so no key is copied."""
    packed = q.reshape(k.shape[0], -1, q.shape[2])
    k, v = k[:, : span.reach], v[:, : span.reach]
    return scaled_dot_product_attention(packed[None], k[None], v[None], attn_mask=span.mask)[0].view(q.shape)
