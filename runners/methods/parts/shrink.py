"""Choose tokens while prefilling: from layer to layer only the best of those computed go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor

from runners.engine.method import PlanContext
from runners.engine.plan import FreshLayer, Refine

Score = Callable[[FreshLayer, Tensor], Tensor]


def shrink(context: PlanContext, counts: Sequence[int], score: Score) -> Refine:
    """Compute ``counts[l]`` reusable tokens in layer l: of those of the layer before, the best there.

    Args:
        counts: one for every layer, never growing, all tokens in the first.
        score: from a layer and where reusable tokens stand among those computed in it, ``(rows,)``, to a score for each
            of them on the CPU; called where some are to be dropped.
    """
    reusable = context.is_reusable()

    def refine(fresh: FreshLayer) -> Tensor | None:
        is_reusable = reusable[fresh.tokens]
        rows = is_reusable.nonzero()[:, 0]
        wanted = counts[min(fresh.layer + 1, len(counts) - 1)]
        if wanted >= len(rows):
            return None
        kept = ~is_reusable
        if wanted:
            kept[rows[score(fresh, rows).topk(wanted).indices]] = True
        return kept

    return refine


def drops(counts: Sequence[int]) -> frozenset[int]:
    """Return the layers after which fewer tokens go on: those in which ``shrink`` has to compare."""
    return frozenset(layer for layer, (now, then) in enumerate(pairwise(counts)) if then < now)
