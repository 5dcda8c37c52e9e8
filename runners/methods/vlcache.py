"""``vlcache``: our method: the tokens a drift probe finds changed, and a short leading run per medium.

The leading run repairs what would become a false attention sink (as the paper does); the drift probe finds the tokens
whose meaning depends on what now stands before them, wherever they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from runners.engine.plan import Plan
from runners.methods.base import PlanContext, leading
from runners.methods.drift import drift_scores
from runners.methods.ratio import RatioMethod


@dataclass(frozen=True)
class VLCache(RatioMethod):
    """Recompute what the new context changes most.

    Options:
        probe: number of first layers probed for drift.
        lead: leading tokens recomputed per medium, within the same budget.
    """

    probe: int = 4
    lead: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.probe < 1:
            raise ValueError(f"probe must be at least 1 layer, not {self.probe}")
        if self.lead < 0:
            raise ValueError(f"lead must not be negative, not {self.lead}")

    @property
    def probe_layers(self) -> int:
        """See ``Method``."""
        return self.probe

    def plan(self, context: PlanContext) -> Plan:
        """See ``Method``."""
        candidates = context.candidates()
        budget = context.budget(self.ratio)
        if budget in (0, len(candidates)):
            return Plan(context.compute(candidates[:budget]))
        scores = drift_scores(context, min(self.probe, context.layers - 1))
        scores[torch.isin(candidates, leading(context.reusable, lambda part: self.lead))] = torch.inf
        return Plan(context.compute(candidates[scores.topk(budget).indices]))
