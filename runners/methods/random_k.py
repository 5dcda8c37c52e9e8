"""``random-k``: a seeded random choice of vision tokens: the control every selector must beat."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from runners.engine.method import PlanContext
from runners.methods.parts.ranking import RankingMethod


@dataclass(frozen=True)
class RandomK(RankingMethod):
    """Recompute tokens drawn without replacement, the draw named by the request.

    Options:
        seed: another seed draws other tokens.
    """

    seed: int = 0

    def scores(self, context: PlanContext) -> Tensor:
        """See ``RankingMethod``."""
        name = hashlib.sha256(f"{self.seed}/{context.request}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(name[:8], "big"))
        return torch.rand(len(context.candidates()), generator=generator)
