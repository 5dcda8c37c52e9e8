"""The dynamic part: recomputed tokens whose fresh keys and values agree with the stored ones go no deeper.

METHODS 2: where the new context changed nothing, what is stored in the deeper layers is right, too. A token must be
told apart from one that the context has not reached yet: nobody differs in the first layer.
"""

from __future__ import annotations

import torch
from torch import Tensor

from runners.engine.plan import FreshLayer, Refine
from runners.methods.base import PlanContext


def settle(context: PlanContext, tolerance: float, first: int) -> Refine:
    """Drop reusable tokens whose K and V are both within ``tolerance`` of the stored ones, from layer ``first`` on.

    Deviations are L2 norms over heads, relative to the mean norm of the stored ones among the tokens computed.
    """
    candidates = context.candidates()

    def refine(fresh: FreshLayer) -> Tensor | None:
        if fresh.layer < first:
            return None
        reused = torch.isin(fresh.tokens, candidates)
        if not bool(reused.any()):
            return None
        rows = reused.nonzero()[:, 0].to(fresh.k.device)
        deviation = torch.maximum(
            _deviation(fresh.k[:, rows], fresh.stale_k[:, rows]), _deviation(fresh.v[:, rows], fresh.stale_v[:, rows])
        )
        kept = torch.ones(len(fresh.tokens), dtype=torch.bool)
        kept[reused] = deviation.cpu() > tolerance
        return kept

    return refine


def _deviation(fresh: Tensor, stored: Tensor) -> Tensor:
    """Relative change of each token, ``(tokens,)``, of rows ``(kv_heads, tokens, head_dim)``."""
    change = (fresh - stored).float().pow(2).sum(dim=(0, 2)).sqrt()
    norm = stored.float().pow(2).sum(dim=(0, 2)).sqrt().mean()
    return change / norm.clamp(min=torch.finfo(torch.float32).tiny)
