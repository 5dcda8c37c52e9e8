"""The base of methods that rank the reusable tokens: the best ranked are computed, as deep as a schedule says."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from runners.engine.method import PlanContext
from runners.engine.plan import Plan
from runners.methods.parts.layer_schedule import LayerSchedule, layer_weights, spread
from runners.methods.parts.ratio import RatioMethod


@dataclass(frozen=True)
class RankingMethod(RatioMethod):
    """A method that scores every reusable token and computes those of the highest scores.

    Options:
        profile: layer schedule: ``flat``, ``linear`` (falls with depth) or ``auto`` (as
            measured for the model, else linear).
    """

    profile: LayerSchedule = "flat"

    @abstractmethod
    def scores(self, context: PlanContext) -> Tensor:
        """Score the tokens of ``context.candidates()``, the highest computed first: ``(candidates,)`` on the CPU.

        Not called when the ratio leaves nothing to choose.
        """
        ...

    def plan(self, context: PlanContext) -> Plan:
        """See ``Method``."""
        counts = [self.budget(context, ratio) for ratio in self.layer_ratios(context)]
        if counts[0] == 0 or counts[-1] == len(context.candidates()):
            return Plan(depth_by_rank(context, context.candidates(), counts))
        depth = depth_by_rank(context, ranked(context, self.scores(context)), counts)
        return Plan(depth, rehearsed=self.rehearsed(context))

    def rehearsed(self, context: PlanContext) -> Tensor | None:
        """Return the tokens that ``scores`` computed to their depth and that stay as they are, see ``Plan``."""
        return None

    def layer_ratios(self, context: PlanContext) -> list[float]:
        """Return the share of the vision tokens to compute in each layer, all of them reusable."""
        return spread(self.ratio, layer_weights(self.profile, context.layers, context.profile))


def ranked(context: PlanContext, scores: Tensor) -> Tensor:
    """Sort the candidates by falling score, those of equal score in their order: ``(candidates,)``."""
    return context.candidates()[scores.argsort(descending=True, stable=True)]


def depth_by_rank(context: PlanContext, order: Tensor, counts: Sequence[int]) -> Tensor:
    """Return every token's depth, ``(tokens,)``, where layer l computes the first ``counts[l]`` of ``order``."""
    depth = context.required.clone()
    for layer, count in enumerate(counts):
        depth[order[:count]] = layer + 1
    return depth
