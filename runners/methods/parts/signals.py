"""Signals of a request: a few numbers from the text pass and the drift probe that tell what is at stake in it.

Which of them tell differs between models (docs/method.md), so a risk model weighs them as measured. All are
logarithms: they differ by orders of magnitude.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from runners.engine.method import PlanContext
from runners.methods.parts.drift import drift
from runners.methods.parts.text_pass import TextPass

BANDS = 4  # of layers, from the first to the last
MOST_READ = 128  # tokens that the question attends to most, whose drift is probed
STRIDE = 16  # and one in so many of all tokens,
MOST_STRIDES = 64  # at most so many
LEAST = 1e-9


@dataclass(frozen=True)
class Signals:
    """Names and values, in the same order."""

    names: tuple[str, ...]
    values: tuple[float, ...]


def signal_names(probe_layers: Sequence[int]) -> tuple[str, ...]:
    """List the names of the signals, in their order, see ``read_signals``."""
    of_probes = [f"drift-{what}.{probe}" for probe in probe_layers for what in ("mean", "max")]
    return (
        *(f"read-drift.{band}.{probe}" for band in range(BANDS) for probe in probe_layers),
        *of_probes,
        *(f"read.{band}" for band in range(BANDS)),
        "doubt",
        "surprise",
    )


def read_signals(context: PlanContext, text: TextPass) -> Signals:
    """Compute the signals of a request; the drift probe looks at a sample of its tokens only.

    ``read-drift.B.P``: largest product of attention in band B of the layers and drift in probe layer P, over the
    sample; ``drift-mean.P`` and ``drift-max.P``: mean over evenly spaced tokens, and maximum over the sample;
    ``read.B``: attention that all reusable tokens receive; ``doubt`` and ``surprise``: of the text pass's first token,
    how near the second best comes to it, and the probability of all others.
    """
    bands = torch.stack([_mean_of(band) for band in text.attention.tensor_split(BANDS)]).cpu()
    sample, strided = _sample(bands)
    change = drift(context, sample).cpu()
    products = (bands[:, None, sample] * change).amax(dim=-1)  # (bands, probe layers)
    drifts = torch.stack((change[:, strided].mean(dim=-1), change.amax(dim=-1)), dim=1)
    best, second = context.adapter.head(text.answer.hidden)[0].float().softmax(dim=-1).topk(2).values.tolist()
    certainty = torch.tensor([1 - (best - second), 1 - best])
    values = torch.cat((products.flatten(), drifts.flatten(), bands.sum(dim=-1), certainty))
    logs = values.double().clamp(min=LEAST).log().tolist()
    return Signals(signal_names(context.probe_layers), tuple(logs))


def _mean_of(band: Tensor) -> Tensor:
    """Average the attention over a band's layers; nothing where a shallow model has fewer layers than bands."""
    return band.mean(dim=0) if len(band) else band.sum(dim=0)


def _sample(bands: Tensor) -> tuple[Tensor, Tensor]:
    """Choose the tokens to probe: places in the candidates, ascending, and a mask of those that are evenly spaced."""
    count = bands.shape[1]
    chosen, every = torch.zeros(count, dtype=torch.bool), torch.zeros(count, dtype=torch.bool)
    every[:: max(STRIDE, -(-count // MOST_STRIDES))] = True
    chosen[bands.sum(dim=0).topk(min(MOST_READ, count)).indices] = True
    chosen |= every
    return chosen.nonzero()[:, 0], every[chosen]
