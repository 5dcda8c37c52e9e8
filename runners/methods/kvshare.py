"""``kvshare``: KVShare (arXiv 2503.16525), as ported by CONDUIT (code: cpa2001/CONDUIT, ``cacheblend.py``).

All tokens are computed in the first layers; from then on, layer by layer, those go on whose attention mass times the
L1 deviation of their V from the stored V is largest, fewer and fewer. The mass is what all tokens computed in a layer
give, text and vision, so it takes the queries of all of them and attention probabilities that no fused kernel returns.
The port compiles images under the chat template, and rounds the mean number of tokens in a layer up.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from typing import ClassVar, Literal

from torch import Tensor

from runners.defaults import DonorPolicy, from_setting
from runners.engine.kv.rotary import rotate
from runners.engine.method import PlanContext
from runners.engine.parallel import sum_over_ranks
from runners.engine.plan import FreshLayer, Plan
from runners.methods.parts.attention_mass import attention_mass, attention_mass_flops
from runners.methods.parts.layer_schedule import linear_weights, spread
from runners.methods.parts.ratio import RatioMethod
from runners.methods.parts.shrink import drops, shrink

FULL_LAYERS = 2  # V of the first layer depends on no context: only that of the second tells tokens apart


@dataclass(frozen=True)
class KVShare(RatioMethod):
    """Recompute, layer by layer, the tokens that are attended to and whose values deviate.

    Options:
        donor: ``template`` unless told otherwise, as the port has it.
        schedule: ``later``: two layers in full, then shares that fall to the last layer and whose mean is ``ratio``, as
            ``cacheblend@gradual=true``; ``all``: as in the port, shares that fall in a straight line from all in the
            first layer and whose mean over all layers is ``ratio``, but never less than the first layer.
    """

    donor: DonorPolicy = from_setting("donor", "template")
    schedule: Literal["later", "all"] = "later"

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

        def score(fresh: FreshLayer, rows: Tensor) -> Tensor:
            chosen = rows.to(fresh.v.device)
            deviation = sum_over_ranks(fresh.change_v(chosen).float().abs().sum(dim=(0, 2)))
            return (_attention_mass(context, fresh)[fresh.at[chosen]] * deviation).cpu()

        return Plan(everything, shrink(context, counts, score), drops(counts))

    def _counts(self, context: PlanContext) -> list[int]:
        """Count the reusable tokens to compute in each layer."""
        layers = context.layers
        if self.schedule == "all" and len(context.candidates()):
            vision = context.layout.vision_tokens
            counts = counts_falling_from_all(vision, ceil(self.ratio * vision - 1e-9), layers)
            return [min(count, len(context.candidates())) for count in counts]
        ratios = [1.0] * min(layers, FULL_LAYERS) + spread(self.ratio, linear_weights(layers)[FULL_LAYERS:])
        return [context.budget(ratio) for ratio in ratios]


def counts_falling_from_all(tokens: int, mean: int, layers: int) -> list[int]:
    """Count the tokens in each layer: a line that falls from all ``tokens``, of that mean, in whole numbers.

    What rounding down leaves is given, a token each, to the layers that lost the largest fractions, none of which then
    computes more than the layer before it.
    """
    line = [tokens * share for share in falling_from_all(mean / tokens, layers)]
    counts = [floor(count + 1e-9) for count in line]
    for _ in range(max(mean * layers, tokens) - sum(counts)):
        below = [layer for layer in range(1, layers) if counts[layer] < counts[layer - 1]]
        counts[max(below, key=lambda layer: line[layer] - counts[layer])] += 1
    return counts


def falling_from_all(mean_ratio: float, layers: int) -> list[float]:
    """Return ratios that fall on a straight line from 1 in the first layer to 0; their mean is at least 1 / layers."""
    total = max(1.0, mean_ratio * layers)
    reached = min(layers, floor(2 * total))  # layers on the line before it is at 0
    slope = 2 * (reached - total) / (reached * max(1, reached - 1))
    return [max(0.0, 1 - layer * slope) for layer in range(layers)]


def _attention_mass(context: PlanContext, fresh: FreshLayer) -> Tensor:
    """Compute the attention mass that tokens receive from those computed in a layer, ``(tokens,)``, and charge it."""
    shape, layer = context.adapter.shape, context.adapter.layers[fresh.layer]
    at = fresh.at
    q = rotate(layer.project_q(fresh.normed), context.prompt.cos[at], context.prompt.sin[at])
    k = fresh.stored_k[:, : context.layout.tokens].index_copy(1, at, fresh.k)
    context.selection_flops += 2.0 * len(at) * shape.hidden * shape.heads * shape.head_dim
    context.selection_flops += attention_mass_flops(shape, at)
    return attention_mass(q[None], k[None], at)[0]
