"""Early exit: recomputed tokens whose fresh keys and values agree with the stored ones go no deeper.

Where the new context changed nothing, what is stored in the deeper layers is right, too (docs/method.md, "Settling").
In the first layers agreement tells nothing: the context has not reached the tokens yet, and in the first of all none
differs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from runners.engine.method import PlanContext
from runners.engine.plan import FreshLayer, Refine


def settle(context: PlanContext, tolerance: float) -> Refine:
    """Drop reusable tokens whose K and V are both within ``tolerance`` of the stored ones in the layer compared.

    One layer is enough: nearly all tokens that would agree in a later one agree there (docs/method.md).
    Deviations are L2 norms over heads, relative to the mean norm of the fresh ones among the tokens compared.
    """
    reusable = context.is_reusable()

    def refine(fresh: FreshLayer) -> Tensor | None:
        reused = reusable[fresh.tokens]
        rows = reused.nonzero()[:, 0].to(fresh.at.device)
        if not len(rows):
            return None
        of_k, of_v = _size(fresh.change_k(rows)), _size(fresh.change_v(rows))
        agrees = (of_k <= tolerance * _size(fresh.k[:, rows]).mean()) & (
            of_v <= tolerance * _size(fresh.v[:, rows]).mean()
        )
        kept = torch.ones(len(fresh.tokens), dtype=torch.bool)
        kept[reused] = ~agrees.cpu()
        return kept

    return refine


def _size(rows: Tensor) -> Tensor:
    """The L2 norm of each token, ``(tokens,)`` float32, of rows ``(kv_heads, tokens, head_dim)``."""
    size: Tensor = torch.linalg.vector_norm(rows, dim=(0, 2), dtype=torch.float32)
    return size
