"""``cacheblend``: CacheBlend (arXiv 2405.16444; code: YaoJiayi/CacheBlend, ``llama.py``, ``xformers.py``).

The first layer is computed in full. In the second, all keys and values are computed and compared with the stored
ones; the tokens with the largest squared L2 deviation go on to the later layers, the others stay at what was stored
there. The authors score V; LMCache scores K after RoPE. It can never execute less than 2 layers of everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from runners.engine.plan import FreshLayer, Plan
from runners.methods.base import PlanContext
from runners.methods.ratio import RatioMethod

CHECK_LAYER = 1


@dataclass(frozen=True)
class CacheBlend(RatioMethod):
    """Recompute the tokens whose keys or values deviate most in the second layer.

    Options:
        score: ``v`` (the authors' code) or ``k`` (after RoPE, LMCache).
    """

    score: Literal["v", "k"] = "v"

    def plan(self, context: PlanContext) -> Plan:
        """See ``Method``."""
        candidates = context.candidates()
        budget = context.budget(self.ratio)

        def refine(fresh: FreshLayer) -> Tensor | None:
            if fresh.layer != CHECK_LAYER or not len(candidates):
                return None
            new, old = (fresh.v, fresh.stale_v) if self.score == "v" else (fresh.k, fresh.stale_k)
            rows = torch.searchsorted(fresh.tokens, candidates)
            deviation = (new - old).float().pow(2).sum(dim=(0, 2)).cpu()[rows]
            kept = torch.ones(len(fresh.tokens), dtype=torch.bool)
            kept[rows] = False
            kept[rows[deviation.topk(budget).indices]] = True
            return kept

        return Plan(context.compute(candidates), refine)
