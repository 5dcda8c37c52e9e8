"""``cacheblend``: CacheBlend (arXiv 2405.16444; code: YaoJiayi/CacheBlend, ``llama.py``, ``xformers.py``).

The first layer is computed in full. In the second, all keys and values are computed and compared with the stored
ones; the tokens with the largest squared L2 deviation go on to the later layers, the others stay at what was stored
there. The authors score V; LMCache scores K after RoPE. It can never execute less than 2 layers of everything.

The authors compile every chunk alone (``example/blend.py``: behind the first token of a sequence), which is nearest to
``donor=isolated``. Media suffer from that: on ``binding`` it costs 17.9 points where donors of earlier requests cost
10.4. So ``previous`` is the default here, the better one for the method, and the authors' own is the preset
``cacheblend``. The number of tokens is rounded down, as in their code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from runners.engine.method import PlanContext
from runners.engine.parallel import sum_over_ranks
from runners.engine.plan import FreshLayer, Plan
from runners.methods.parts.layer_schedule import LayerSchedule, layer_weights, spread
from runners.methods.parts.ratio import RatioMethod
from runners.methods.parts.shrink import drops, shrink

CHECK_LAYER = 1


@dataclass(frozen=True)
class CacheBlend(RatioMethod):
    """Recompute the tokens whose keys or values deviate most in the second layer.

    Options:
        donor: ``previous`` unless told otherwise, which suits the method better than the authors' ``isolated``.
        score: ``v`` (the authors' code) or ``k`` (after RoPE, LMCache).
        gradual: choose again in every later layer, by its own deviation, fewer and fewer (the paper's gradual
            filtering); then ``profile=flat`` means ``linear``.
        profile: layer schedule, of the layers after the second: ``flat``, ``linear`` (falls with depth) or
            ``auto`` (as measured for the model, else linear); ``ratio`` is their mean.
    """

    score: Literal["v", "k"] = "v"
    gradual: bool = False
    profile: LayerSchedule = "flat"

    keeps_to_ratio: ClassVar[bool] = False

    @property
    def adaptive(self) -> bool:
        """See ``Method``."""
        return True

    def plan(self, context: PlanContext) -> Plan:
        """See ``Method``."""
        counts = self._counts(context)
        everything = context.compute(context.candidates())
        if counts[-1] == counts[0]:
            return Plan(everything)
        deviations = torch.zeros(len(everything))
        keep = shrink(context, counts, lambda fresh, rows: deviations[fresh.tokens[rows]])

        def refine(fresh: FreshLayer) -> Tensor | None:
            if fresh.layer == CHECK_LAYER or self.gradual:
                change = fresh.change_v() if self.score == "v" else fresh.change_k()
                deviations[fresh.tokens] = sum_over_ranks(change.float().pow(2).sum(dim=(0, 2))).cpu()
            return keep(fresh)

        return Plan(everything, refine, drops(counts) | {CHECK_LAYER})

    def _counts(self, context: PlanContext) -> list[int]:
        """Count the reusable tokens to compute in every layer: all up to the second, then a share."""
        schedule: LayerSchedule = "linear" if self.gradual and self.profile == "flat" else self.profile
        weights = layer_weights(schedule, context.layers, context.profile)[CHECK_LAYER + 1 :]
        ratios = [1.0] * min(context.layers, CHECK_LAYER + 1) + spread(self.ratio, weights)
        return [context.budget(ratio) for ratio in ratios]
