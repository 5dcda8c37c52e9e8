"""Measure what is left of the cost of reuse when some tokens are recomputed: how choices of tokens are compared."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from runners.analysis.observe import Seen
from runners.divergence import kl_divergence
from runners.engine.plan import Plan
from runners.engine.prefill import prefill


def kl_after(seen: Seen, exact: NDArray[np.float32], order: NDArray[np.int64], ratio: float) -> float:
    """Compute the first token's KL(full || the first of ``order`` recomputed in all layers, the others reused).

    Args:
        exact: the first token's logits with everything recomputed, ``(vocabulary,)``.
        order: the reusable tokens, as indices into ``candidates``, the one to be recomputed first in front.
        ratio: how many of them are, as a share.
    """
    context = seen.context
    chosen = context.candidates()[torch.from_numpy(order)[: context.budget(ratio)]]
    kv = seen.stored.copy()
    result = prefill(context.adapter, context.prompt, kv, Plan(context.compute(chosen)))
    logits: NDArray[np.float32] = context.adapter.head(result.hidden)[0].float().cpu().numpy()
    return kl_divergence(exact, logits)


def highest_first(scores: NDArray[np.floating]) -> NDArray[np.int64]:
    """Sort indices by falling score, those of equal score in their order."""
    order: NDArray[np.int64] = np.argsort(-scores, kind="stable")
    return order
