"""``random-k``: a seeded random choice of vision tokens, in all layers: the control every selector must beat."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch

from runners.engine.plan import Plan
from runners.methods.base import PlanContext
from runners.methods.ratio import RatioMethod


@dataclass(frozen=True)
class RandomK(RatioMethod):
    """Recompute tokens drawn without replacement, the draw named by the request.

    Options:
        seed: another seed draws other tokens.
    """

    seed: int = 0

    def plan(self, context: PlanContext) -> Plan:
        """See ``Method``."""
        candidates = context.candidates()
        name = hashlib.sha256(f"{self.seed}/{context.request}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(name[:8], "big"))
        drawn = torch.randperm(len(candidates), generator=generator)[: context.budget(self.ratio)]
        return Plan(context.compute(candidates[drawn]))
