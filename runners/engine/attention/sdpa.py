"""torch's scaled dot product attention: the reference backend, on every device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from runners.engine.attention.base import Attention, beside_each_other
from runners.engine.attention.view import LookBack

WORTH_A_CALL = 8192  # query-key pairs that must be saved for a second call to pay


@dataclass(frozen=True)
class Span:
    """Neighbouring queries that share one call, with their mask.

    Attributes:
        start, end: indices of the queries, half open.
        reach: number of keys that the last of them sees.
        mask: 0 where a query sees a key and -inf where not, once for each head of a group,
            ``(groups * (end - start), reach)``.
    """

    start: int
    end: int
    reach: int
    mask: Tensor


class Sdpa(Attention):
    """See ``Attention``."""

    name: ClassVar[str] = "sdpa"
    recordable: ClassVar[bool] = True

    @classmethod
    def lacks(cls, device: torch.device) -> str | None:
        """See ``Attention``: nothing."""
        return None

    def attend(self, q: Tensor, k: Tensor, v: Tensor, view: LookBack | None) -> Tensor:
        """See ``Attention``. With a fixed view keys and values are copied."""
        if view is None:
            return attend_all(q, k, v)
        if view.fixed:
            k, v = _defined(k, view), _defined(v, view)
        groups = q.shape[0] // k.shape[0]
        spans = view.once(("masks", groups, q.dtype), lambda: masked_spans(view, groups, q.dtype))
        parts = [_attend_span(q[:, span.start : span.end], k, v, span) for span in spans]
        return beside_each_other(parts[0] if len(parts) == 1 else torch.cat(parts, dim=1))


def attend_all(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """``Attention.attend`` of all tokens, by torch's best kernel: flash attention where the dtype allows it."""
    queries, groups = q.shape[1], q.shape[0] // k.shape[0]
    k, v = k[:, :queries], v[:, :queries]
    if groups > 1 and q.is_cuda and q.dtype == torch.float32:  # torch's only fused kernel for these takes no groups
        k, v, groups = k.repeat_interleave(groups, dim=0), v.repeat_interleave(groups, dim=0), 1
    attended = scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True, enable_gqa=groups > 1)
    return beside_each_other(attended[0])


def masked_spans(view: LookBack, groups: int, dtype: torch.dtype) -> list[Span]:
    """Split a view's queries into one span or two, with ``groups`` query heads per key head.

    The first queries often see few keys (the text before a picture), the last ones nearly all: two spans are made
    where that saves enough work.
    """
    queries = len(view.tokens)
    cut = 0
    if queries > 1 and not view.fixed:
        saved = torch.arange(1, queries) * (view.reach - 1 - view.tokens[:-1])
        best = int(saved.argmax())
        cut = best + 1 if int(saved[best]) > WORTH_A_CALL else 0
    borders = [(0, cut), (cut, queries)] if cut else [(0, queries)]
    return [_span(view, start, end, groups, dtype) for start, end in borders]


def _span(view: LookBack, start: int, end: int, groups: int, dtype: torch.dtype) -> Span:
    reach = view.reach if end == len(view.tokens) else int(view.tokens[end - 1]) + 1
    hidden = torch.arange(reach, device=view.at.device) > view.at[start:end, None]
    mask = torch.zeros(hidden.shape, dtype=dtype, device=view.at.device).masked_fill_(hidden, -torch.inf)
    return Span(start, end, reach, mask.repeat(groups, 1))


def _defined(x: Tensor, view: LookBack) -> Tensor:
    """Set keys or values that no query sees to 0: undefined memory there may hold NaN."""
    reach = view.reach
    unseen = view.once("unseen", lambda: torch.arange(reach, device=x.device) > view.at[-1])
    return x[:, :reach].masked_fill(unseen[:, None], 0.0)


def _attend_span(q: Tensor, k: Tensor, v: Tensor, span: Span) -> Tensor:
    """Attend in one call, ``(heads, queries, head_dim)``: heads of a group are packed, so no key is copied."""
    packed = q.reshape(k.shape[0], -1, q.shape[2])
    k, v = k[:, : span.reach], v[:, : span.reach]
    return scaled_dot_product_attention(packed[None], k[None], v[None], attn_mask=span.mask)[0].view(q.shape)
