"""``vlcache``: our method: recompute what the new context changes and the question reads.

The question's attention says which tokens matter (the rule of ProphetKV and CONDUIT), a drift probe says which of them
the new context changes, wherever they stand; their product ranks, attention under a square root because it differs by
orders of magnitude and drift does not. Either alone fails somewhere: attention spends its budget on tokens that are
right as stored, drift on tokens that nobody asks for. A short leading run per medium repairs what would become a false
attention sink (as the paper does). How deep tokens are recomputed follows the layer schedule measured for the
model, else it is all layers; a token goes no deeper where its fresh keys and values agree with the stored ones (early
exit).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from math import inf

import torch
from torch import Tensor

from runners.engine.method import PlanContext
from runners.engine.plan import Plan
from runners.methods.parts.attention_mass import question_attention
from runners.methods.parts.drift import drift_scores
from runners.methods.parts.layer_schedule import LayerSchedule, layer_weights, spread
from runners.methods.parts.leading import leading
from runners.methods.parts.ranking import RankingMethod
from runners.methods.parts.settle import settle
from runners.profile import ModelProfile, default_probe_layers, reading_layers
from workloads.errors import UsageError

AUTO = "auto"
SHORTLIST = 4  # times the tokens computed in the first layer are probed for drift


@dataclass(frozen=True)
class VLCache(RankingMethod):
    """Recompute what the new context changes and the question reads.

    Options:
        probe: layers probed for drift, as in ``0+1``; ``auto`` takes those measured for the model, or else those of
            ``runners.profile.default_probe_layers``.
        question_layers: first layers in which the question's attention counts; ``auto`` takes those that hold 95 % of
            what staleness costs, as measured for the model, or else all.
        lead: leading tokens recomputed per medium, within the same budget.
        tolerance: relative deviation up to which fresh and stored keys and values agree; 0: no early exit.
        max_ratio: no layer computes a larger share of the vision tokens anew, whatever the layer schedule says.
    """

    profile: LayerSchedule = "auto"
    probe: str = AUTO
    question_layers: str = AUTO
    lead: int = 1
    tolerance: float = 0.1
    max_ratio: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.probe != AUTO and not re.fullmatch(r"\d+(\+\d+)*", self.probe):
            raise ValueError(f"probe must be '{AUTO}' or layers such as 0+1, not '{self.probe}'")
        if self.question_layers != AUTO and not re.fullmatch(r"[1-9]\d*", self.question_layers):
            raise ValueError(f"question_layers must be '{AUTO}' or a number of layers, not '{self.question_layers}'")
        if self.lead < 0:
            raise ValueError(f"lead must not be negative, not {self.lead}")
        if not 0 <= self.tolerance < inf:
            raise ValueError(f"tolerance must be a number of at least 0, not {self.tolerance}")
        if not 0 <= self.max_ratio <= 1:
            raise ValueError(f"max_ratio must be between 0 and 1, not {self.max_ratio}")

    @property
    def adaptive(self) -> bool:
        """See ``Method``."""
        return self.tolerance > 0

    def without_early_exit(self) -> VLCache:
        """See ``Method``."""
        return replace(self, tolerance=0.0)

    def probe_layers(self, layers: int, profile: ModelProfile) -> tuple[int, ...]:
        """See ``Method``. The last layer is never probed: it has no queries of media tokens.

        Raises:
            UsageError: the model has no such layers.
        """
        if self.probe == AUTO:
            return profile.probe_layers or default_probe_layers(layers)
        chosen = tuple(sorted({int(layer) for layer in self.probe.split("+")}))
        if chosen[-1] >= layers - 1:
            raise UsageError(f"probe={self.probe}: the model's layers that can be probed are 0 to {layers - 2}")
        return chosen

    def scores(self, context: PlanContext) -> Tensor:
        """See ``RankingMethod``. Drift is computed only for the tokens that the question attends to most."""
        attention = question_attention(context, self._question_layers(context)).mean(dim=0).cpu()
        count = min(len(attention), SHORTLIST * context.budget(self.layer_ratios(context)[0]))
        shortlist = attention.topk(count).indices.sort().values
        scores = torch.zeros_like(attention)
        scores[shortlist] = attention[shortlist].sqrt() * drift_scores(context, shortlist)
        scores[torch.isin(context.candidates(), leading(context.reusable, lambda part: self.lead))] = torch.inf
        return scores

    def _question_layers(self, context: PlanContext) -> int:
        if self.question_layers != AUTO:
            return min(int(self.question_layers), context.layers)
        sensitivity = context.profile.sensitivity
        return reading_layers(sensitivity) if sensitivity else context.layers

    def layer_ratios(self, context: PlanContext) -> list[float]:
        """See ``RankingMethod``: none above ``max_ratio``."""
        weights = layer_weights(self.profile, context.layers, context.profile, unmeasured="flat")
        return spread(self.ratio, weights, self.max_ratio)

    def plan(self, context: PlanContext) -> Plan:
        """See ``Method``. No early exit where all is to be computed: that is full recomputation, to the last bit."""
        depth = super().plan(context).depth
        if self.tolerance == 0 or bool((depth[context.candidates()] == context.layers).all()):
            return Plan(depth)
        return Plan(depth, settle(context, self.tolerance), looks_in=frozenset({context.probe_layers[-1] + 1}))
