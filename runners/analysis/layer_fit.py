"""Fit the layer schedule: how deep a recompute budget is best spent, given what staleness in each layer costs.

A layer that recomputes the share r of its tokens keeps the share g(r) of its cost, and staleness in layer l costs s_l.
The schedule minimises ``sum_l s_l * g(r_l)`` over ratios that never grow with depth and have the budget as mean.

It is solved by dynamic programming over a grid of ratios: exact for any g and any s, convex or not, and without
derivatives. Projecting an unconstrained solution onto falling ratios would be right for convex g only. Without
diminishing returns (a linear g) the optimum is a single step: the same down to some layer, nothing below.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from runners.analysis.records import ROUNDING, SHARES, Observation

GRID = 1000  # grid steps in the budget of all layers, about
LEAST_SAVING = 0.01  # of what staleness costs: less is within the error of what was measured

Floats = NDArray[np.float64]
Curve = Callable[[Floats], Floats]


def cost_left(observations: Sequence[Observation]) -> Curve:
    """Measure g(r): the share of the cost of reuse that is left when the share r of the tokens is recomputed.

    Those of highest drift are recomputed. Measured at ``SHARES``, in between on straight lines, never growing. The cost
    is measured and not the deviation: that is spread over all tokens, while the cost sits in few of them. All shares
    are of sums over requests, in nats: one that reuse does not hurt does not count. If reuse costs nothing beyond
    rounding, g(r) = 1 - r.
    """
    costs = [item.staleness.kl_repaired for item in observations if item.staleness is not None]
    total = np.sum(costs, axis=0) if costs else np.zeros(len(SHARES))
    measured = total / total[0] if total[0] > ROUNDING * len(costs) else 1 - np.array(SHARES)
    points, shares = np.array([*SHARES, 1.0]), np.minimum.accumulate([*measured, 0.0])

    def left(ratios: Floats) -> Floats:
        return np.interp(ratios, points, shares)

    return left


def fit_ratios(costs: Sequence[float], left: Curve, budget: float, grid: int = GRID) -> list[float]:
    """Find the best ratio of every layer; the same for all where nothing else saves ``LEAST_SAVING``.

    Args:
        costs: s_l. Where they were measured on few requests, the upper ends of their intervals: a layer that may
            matter is then not cut.
        left: g.
        budget: the mean of the ratios, above 0 and at most 1.
        grid: see ``GRID``; an equal ratio in all layers is always on the grid.
    """
    layers = len(costs)
    per_layer = ceil(grid / layers)
    step = budget / per_layer
    most = min(floor(1 / step + 1e-9), per_layer * layers)
    table = np.outer(np.asarray(costs, dtype=np.float64), left(np.arange(most + 1, dtype=np.float64) * step))
    best = cheapest(table, per_layer * layers)
    saved = table[:, per_layer].sum() - table[range(layers), best].sum()
    if saved < LEAST_SAVING * sum(costs):
        return [budget] * layers
    return [units * step for units in best]


def cheapest(costs: Floats, total: int) -> list[int]:
    """Find the cheapest units of the layers, never growing and ``total`` in all; of equally cheap ones the flattest.

    The state is (layer, most units it may take, units left to give), so this takes O(layers * units * total).

    Args:
        costs: of giving a layer 0, 1, ... units, ``(layers, units + 1)``.
    """
    layers, width = costs.shape
    rest = np.full((width, total + 1), np.inf)
    rest[:, 0] = 0.0
    taken = np.zeros((layers, width, total + 1), dtype=np.bool_)
    for layer in reversed(range(layers)):
        exactly = np.full_like(rest, np.inf)
        for units in range(min(width, total + 1)):
            exactly[units, units:] = costs[layer, units] + rest[units, : total + 1 - units]
        rest = np.minimum.accumulate(exactly, axis=0)
        taken[layer, 0] = True
        taken[layer, 1:] = exactly[1:] < rest[:-1]
    if not np.isfinite(rest[-1, total]):
        raise ValueError(f"{layers} layers of at most {width - 1} units cannot take {total}")
    chosen: list[int] = []
    units, left = width - 1, total
    for layer in range(layers):
        units = int(np.flatnonzero(taken[layer, : units + 1, left])[-1])
        chosen.append(units)
        left -= units
    return chosen


def to_weights(ratios: Sequence[float]) -> tuple[float, ...]:
    """Scale ratios so that the first is 1."""
    return tuple(ratio / ratios[0] for ratio in ratios)
