"""The norm of V: how much a token writes to whoever attends to it, as CONDUIT (arXiv 2609.05821) weighs attention."""

from __future__ import annotations

import torch
from torch import Tensor

from runners.engine.method import PlanContext
from runners.engine.parallel import sum_over_ranks


def value_norms(context: PlanContext) -> Tensor:
    """Compute the L2 norm of every reusable token's V over all heads, ``(layers, candidates)`` float32."""
    at = context.candidates().to(context.adapter.device)
    squares = torch.stack([values[:, at].float().square().sum(dim=(0, 2)) for values in context.kv.v])
    return sum_over_ranks(squares).sqrt()
