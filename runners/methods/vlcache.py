"""``vlcache``: our method: the tokens a drift probe finds changed, and a short leading run per medium.

The leading run repairs what would become a false attention sink (as the paper does); the drift probe finds the tokens
whose meaning depends on what now stands before them, wherever they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil

import torch

from runners.engine.plan import Plan
from runners.methods.base import PlanContext, leading
from runners.methods.drift import drift_scores
from runners.methods.ratio import RatioMethod
from runners.profile import ModelProfile
from workloads.errors import UsageError

AUTO = "auto"


@dataclass(frozen=True)
class VLCache(RatioMethod):
    """Recompute what the new context changes most.

    Options:
        probe: layers probed for drift, as in ``0+1``; ``auto`` takes those measured for the model, or else the first
            quarter of all.
        lead: leading tokens recomputed per medium, within the same budget.
    """

    probe: str = AUTO
    lead: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.probe != AUTO and not re.fullmatch(r"\d+(\+\d+)*", self.probe):
            raise ValueError(f"probe must be '{AUTO}' or layers such as 0+1, not '{self.probe}'")
        if self.lead < 0:
            raise ValueError(f"lead must not be negative, not {self.lead}")

    def probe_layers(self, layers: int, profile: ModelProfile) -> tuple[int, ...]:
        """See ``Method``. The last layer is never probed: it has no queries of media tokens.

        Raises:
            UsageError: the model has no such layers.
        """
        if self.probe == AUTO:
            return profile.probe_layers or tuple(range(max(1, min(ceil(layers / 4), layers - 1))))
        chosen = tuple(sorted({int(layer) for layer in self.probe.split("+")}))
        if chosen[-1] >= layers - 1:
            raise UsageError(f"probe={self.probe}: the model's layers that can be probed are 0 to {layers - 2}")
        return chosen

    def plan(self, context: PlanContext) -> Plan:
        """See ``Method``."""
        candidates = context.candidates()
        budget = context.budget(self.ratio)
        if budget in (0, len(candidates)):
            return Plan(context.compute(candidates[:budget]))
        scores = drift_scores(context)
        scores[torch.isin(candidates, leading(context.reusable, lambda part: self.lead))] = torch.inf
        return Plan(context.compute(candidates[scores.argsort(descending=True, stable=True)[:budget]]))
