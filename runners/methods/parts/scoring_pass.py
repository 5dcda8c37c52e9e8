"""The base of methods that rank tokens by one pass of the text over the reused keys and values, as CONDUIT runs it.

The authors' code (cpa2001/CONDUIT, ``model_runner.py``, ``recompute.py``) computes all text in that pass and afterwards
only the chosen tokens and the trailing text, the question: text between media stays as it was computed over media that
are still stale. It compiles images under the chat template and rounds the number of chosen tokens up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from runners.defaults import DonorPolicy, from_setting
from runners.engine.method import PlanContext
from runners.methods.parts.attention_mass import question_span
from runners.methods.parts.ranking import RankingMethod


@dataclass(frozen=True)
class ScoringPassMethod(RankingMethod):
    """A method whose ``scores`` compute all text through all layers, which is computed again only behind the media.

    Options:
        donor: ``template`` unless told otherwise, as the authors have it.
    """

    rounds_up: ClassVar[bool] = True

    donor: DonorPolicy = from_setting("donor", "template")

    def rehearsed(self, context: PlanContext) -> Tensor:
        """See ``RankingMethod``."""
        return required_before_question(context, self.donor)


def required_before_question(context: PlanContext, donor: DonorPolicy) -> Tensor:
    """Find what a pass of the text computes once and for all, ``(tokens,)`` bool: what is required before the question.

    New media are computed again where they become donors, because only what is computed last is stored.
    """
    required = context.required > 0
    required[question_span(context)] = False
    if donor == "previous":
        for segment in context.layout.segments:
            required[segment.start : segment.end] = False
    return required
