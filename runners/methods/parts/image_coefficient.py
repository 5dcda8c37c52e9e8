"""The image coefficient (CONDUIT, arXiv 2609.05821): an image's mean score relative to the mean of all images."""

from __future__ import annotations

import torch
from torch import Tensor

from runners.engine.method import PlanContext


def image_coefficients(context: PlanContext, scores: Tensor) -> Tensor:
    """Compute the coefficient of every candidate's image, ``(candidates,)``, of the scores of all candidates."""
    sizes = [part.tokens for part in context.reusable]
    means = torch.stack([part.mean() for part in scores.split(sizes)])
    relative = means / means.mean().clamp(min=torch.finfo(torch.float32).tiny)
    return relative.repeat_interleave(torch.tensor(sizes))
