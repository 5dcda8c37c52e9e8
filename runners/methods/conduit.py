"""``conduit``: CONDUIT (arXiv 2609.05821; code: cpa2001/CONDUIT, ``recompute.py``, ``model_runner_kv_score.py``).

One scoring pass of the text over the reused keys and values. A token's score in a layer is the attention mass it
receives from the question, times the L2 norm of its V; the mean over all layers counts, times a coefficient of its
image: the image's mean score relative to the mean of all images. The best of all images together are recomputed.
The authors compile every image under the chat template (``image_priori_mode`` is ``chat_template`` in all their
presets); their main table has 5 and 10 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from runners.engine.method import PlanContext
from runners.methods.parts.attention_mass import question_attention
from runners.methods.parts.scoring_pass import ScoringPassMethod


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
            scores = scores * _value_norms(context)
        mean = scores.mean(dim=0).cpu()
        return mean * _image_coefficients(context, mean) if self.image_coefficient else mean


def _value_norms(context: PlanContext) -> Tensor:
    """Compute the L2 norm of every reusable token's V over all heads, ``(layers, candidates)``."""
    at = context.candidates().to(context.adapter.device)
    return torch.stack([values[:, at].float().square().sum(dim=(0, 2)).sqrt() for values in context.kv.v])


def _image_coefficients(context: PlanContext, scores: Tensor) -> Tensor:
    """Compute the mean score of every reusable token's image, relative to the mean of all images, ``(candidates,)``."""
    sizes = [part.tokens for part in context.reusable]
    means = torch.stack([part.mean() for part in scores.split(sizes)])
    relative = means / means.mean().clamp(min=torch.finfo(torch.float32).tiny)
    return relative.repeat_interleave(torch.tensor(sizes))
