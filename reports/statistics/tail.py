"""Compute the chance that a weighted sum of gamma variables is negative, by integrating its transform."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from reports.statistics.clusters import Floats

BISECTIONS, REACH = 14, 30.0  # of the logit of the saddle point; the path need not meet it
STEP, FARTHEST = 0.05, 13.0  # of the trapezoidal rule: relative error below 1e-6 down to chances of 1e-9
NOTHING = 1e-14  # of the largest weight
NODES = np.arange(0.0, FARTHEST, STEP)
ALONG, SLOPE = np.sinh(NODES), np.cosh(NODES)
PARTS = np.where(NODES == 0, STEP / 2, STEP)


def chance_negative(weights: ArrayLike, shapes: ArrayLike) -> Floats:
    """``(...)``: P(sum of ``weights`` G < 0), where G are independent gamma variables with these shapes and scale 1.

    Shapes need not be whole. The transform ``prod (1 - s w) ** -shape`` is integrated over a line through its saddle
    point (Daniels, Annals of Mathematical Statistics 25, 1954), so that small chances keep their digits; steps grow
    like sinh, as sums of few variables have heavy tails.

    Args:
        weights: ``(..., terms)``.
        shapes: ``(..., terms)``, above 0; 0 for a term that is missing.
    """
    weight, shape = np.broadcast_arrays(np.asarray(weights, dtype=np.float64), np.asarray(shapes, dtype=np.float64))
    weight = np.where(shape > 0, weight, 0.0)
    largest = np.abs(weight).max(axis=-1, keepdims=True)
    weight = np.where(np.abs(weight) > NOTHING * largest, weight, 0.0) / np.where(largest > 0, largest, 1.0)
    sign = np.where((weight * shape).sum(axis=-1) > 0, 1.0, -1.0)
    weight = weight * sign[..., None]  # the mean is positive now, and the chance below 0 the smaller one
    lowest = weight.min(axis=-1)
    never = lowest >= 0
    pole = 1 / np.where(never, -1.0, lowest)
    saddle = _saddle(weight, shape, pole)
    slack = 1 - saddle[..., None] * weight
    scale = 1 / np.sqrt((shape * (weight / slack) ** 2).sum(axis=-1) + 1 / saddle**2)
    path = saddle[..., None] + 1j * scale[..., None] * ALONG
    exponent = -(shape[..., None] * np.log(1 - path[..., None, :] * weight[..., None])).sum(axis=-2)
    below = -((np.exp(exponent) / path).real * SLOPE * PARTS).sum(axis=-1) * scale / np.pi
    below = np.clip(np.where(never, 0.0, below), 0.0, 1.0)
    chance: Floats = np.where(sign > 0, below, 1 - below)
    return chance


def _saddle(weight: Floats, shape: Floats, pole: Floats) -> Floats:
    """``(...)``: about where the integrand is least between ``pole``, which is negative, and 0."""
    low, high = np.full(pole.shape, -REACH), np.full(pole.shape, REACH)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        place = pole / (1 + np.exp(-middle))
        rising = (shape * weight / (1 - place[..., None] * weight)).sum(axis=-1) > 1 / place
        low, high = np.where(rising, middle, low), np.where(rising, high, middle)
    saddle: Floats = pole / (1 + np.exp(-(low + high) / 2))
    return saddle
