"""The logit margin: how far the best token is ahead of the second best, which tells how near another answer is."""

from __future__ import annotations

from torch import Tensor


def logit_margin(logits: Tensor) -> Tensor:
    """Compute by how much the best logit exceeds the second best, ``(..., vocabulary)`` to ``(...)`` float32."""
    best, second = logits.topk(2, dim=-1).values.float().unbind(dim=-1)
    return best - second
