"""What methods share that rank the reusable tokens: the best ranked are computed, deeper where a profile says so."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from runners.engine.method import PlanContext
from runners.engine.plan import Plan
from runners.methods.parts.layer_profile import ProfileName, layer_weights, spread
from runners.methods.parts.ratio import RatioMethod


@dataclass(frozen=True)
class RankingMethod(RatioMethod):
    """A method that gives every reusable token a score.

    Options:
        profile: how the budget is spread over the layers: ``flat``, ``linear`` (falls with depth) or ``auto`` (as
            measured for the model, else linear).
    """

    profile: ProfileName = "flat"

    @abstractmethod
    def scores(self, context: PlanContext) -> Tensor:
        """A score per token of ``context.candidates()``, the highest computed first, ``(candidates,)`` on the CPU.

        Not called when the ratio leaves nothing to choose.
        """
        ...

    def plan(self, context: PlanContext) -> Plan:
        """See ``Method``."""
        ratios = self.layer_ratios(context)
        if context.budget(ratios[0]) == 0 or context.budget(ratios[-1]) == len(context.candidates()):
            return Plan(depth_by_rank(context, context.candidates(), ratios))
        return Plan(depth_by_rank(context, ranked(context, self.scores(context)), ratios))

    def layer_ratios(self, context: PlanContext) -> list[float]:
        """The share of vision tokens to compute in each layer, reusable ones only."""
        return spread(self.ratio, layer_weights(self.profile, context.layers, context.profile))


def ranked(context: PlanContext, scores: Tensor) -> Tensor:
    """The candidates by falling score, those of equal score in their order, ``(candidates,)``."""
    return context.candidates()[scores.argsort(descending=True, stable=True)]


def depth_by_rank(context: PlanContext, order: Tensor, ratios: Sequence[float]) -> Tensor:
    """Depth of every token when layer l computes the first ``ratios[l]`` of ``order``, ``(tokens,)``."""
    depth = context.required.clone()
    for layer, ratio in enumerate(ratios):
        depth[order[: context.budget(ratio)]] = layer + 1
    return depth
