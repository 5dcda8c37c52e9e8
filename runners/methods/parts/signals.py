"""Signals of a request: a few numbers from the text pass that tell what is at stake in it.

Where every medium is stored in the same context (donors under the chat template), what the question reads of it shows
what it looks for in vain: what one picture says of another, which no donor knows (docs/method.md). Which signals tell
differs between models, so a risk model weighs them as measured. All are logarithms: they differ by orders of magnitude.
"""

from __future__ import annotations

from math import log

import torch
from torch import Tensor

from runners.engine.method import PlanContext
from runners.methods.parts.text_pass import TextPass

BANDS = 4  # of layers, from the first to the last
LEAST = 1e-9
SIGNALS = (
    *(f"{what}.{band}" for what in ("read", "peak", "breadth") for band in range(BANDS)),
    *("doubt", "surprise", "reused"),
)
"""Names of the signals, in the order of ``read_signals``."""


def read_signals(context: PlanContext, text: TextPass) -> tuple[float, ...]:
    """Compute the values of ``SIGNALS`` for a request.

    In band B of the layers ``read.B`` is the attention that all reusable tokens receive from the question, ``peak.B``
    that of the token that receives most, and ``breadth.B`` the number of tokens that receive it (participation ratio).
    ``doubt`` and ``surprise`` are of the text pass's first token: how near the second best comes to it, and the
    probability of all others. ``reused`` is the share of the prompt's vision tokens that can be reused.
    """
    bands = torch.stack([_mean_of(band) for band in text.attention.tensor_split(BANDS)])
    total, square = bands.sum(dim=-1), bands.square().sum(dim=-1)
    breadth = total.square() / square.clamp(min=torch.finfo(square.dtype).tiny)
    best, second = context.adapter.head(text.answer.hidden)[0].float().softmax(dim=-1).topk(2).values
    certainty = torch.stack((1 - (best - second), 1 - best))
    values = torch.cat((total, bands.amax(dim=-1), breadth, certainty)).tolist()
    values.append(bands.shape[1] / context.layout.vision_tokens)
    return tuple(log(max(value, LEAST)) for value in values)


def _mean_of(band: Tensor) -> Tensor:
    """Average the attention over a band's layers; nothing where a shallow model has fewer layers than bands."""
    return band.mean(dim=0) if len(band) else band.sum(dim=0)
