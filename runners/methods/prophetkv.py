"""``prophetkv``: ProphetKV (arXiv 2602.02579), as ported by CONDUIT: its score without norms and coefficients.

The attention mass that a token receives from the question, averaged over all layers.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from runners.engine.method import PlanContext
from runners.methods.parts.attention_mass import question_attention
from runners.methods.parts.scoring_pass import ScoringPassMethod


@dataclass(frozen=True)
class ProphetKV(ScoringPassMethod):
    """Recompute the tokens that the question attends to."""

    def scores(self, context: PlanContext) -> Tensor:
        """See ``RankingMethod``."""
        return question_attention(context).mean(dim=0).cpu()
