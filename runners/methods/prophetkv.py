"""``prophetkv``: ProphetKV (arXiv 2602.02579), as ported by CONDUIT: its score without norms and coefficients.

The attention mass that a token receives from the question, averaged over all layers. The port compiles images under the
chat template and rounds the number of tokens up, as it does for CONDUIT.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from runners.defaults import DonorPolicy, from_setting
from runners.engine.method import PlanContext
from runners.methods.parts.attention_mass import question_attention
from runners.methods.parts.ranking import RankingMethod


@dataclass(frozen=True)
class ProphetKV(RankingMethod):
    """Recompute the tokens that the question attends to.

    Options:
        donor: ``template`` unless told otherwise, as the port has it.
    """

    rounds_up: ClassVar[bool] = True

    donor: DonorPolicy = from_setting("donor", "template")

    def scores(self, context: PlanContext) -> Tensor:
        """See ``RankingMethod``."""
        return question_attention(context).mean(dim=0).cpu()
