"""``conduit``: CONDUIT (arXiv 2609.05821; code: cpa2001/CONDUIT, ``recompute.py``, ``model_runner_kv_score.py``).

One scoring pass of the text over the reused keys and values. A token's score in a layer is the attention mass it
receives from the question, times the L2 norm of its V; the mean over all layers counts, times a coefficient of its
image: the image's mean score relative to the mean of all images. The best of all images together are recomputed.
The authors compile every image under the chat template (``image_priori_mode`` is ``chat_template`` in all their
presets); their main table has 5 and 10 %.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from runners.engine.method import PlanContext
from runners.methods.parts.attention_mass import question_attention
from runners.methods.parts.image_coefficient import image_coefficients
from runners.methods.parts.scoring_pass import ScoringPassMethod
from runners.methods.parts.value_norm import value_norms


@dataclass(frozen=True)
class Conduit(ScoringPassMethod):
    """Recompute the tokens that write most of what the question reads.

    Options:
        value_norm: whether attention counts times the norm of V.
        image_coefficient: whether tokens of images with a high mean score are preferred.
    """

    value_norm: bool = True
    image_coefficient: bool = True

    def scores(self, context: PlanContext) -> Tensor:
        """See ``RankingMethod``."""
        scores = question_attention(context)
        if self.value_norm:
            scores = scores * value_norms(context)
        mean = scores.mean(dim=0).cpu()
        return mean * image_coefficients(context, mean) if self.image_coefficient else mean
