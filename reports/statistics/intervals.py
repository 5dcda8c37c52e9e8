"""Percentiles, and intervals that respect clusters.

Requests of one cluster share their media, so their errors are not independent. Every interval is the inversion of a
score test on the effective number of requests, see ``clusters.Sample.effective_size``: sound for few requests, and
where no answer or hardly any differs. Of one cluster, or of nothing, the uncertainty is unknown: None. scipy has
Wilson's interval for whole counts alone (``binomtest``), and effective numbers are not whole. Changes of scores have
bounds of their own, see ``changes``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from reports.statistics.clusters import Floats, Sample


@dataclass(frozen=True)
class Interval:
    """Both ends, in the unit of the values."""

    low: float
    high: float


UNKNOWN = Interval(-inf, inf)


def percentile(values: ArrayLike, rank: float) -> float | None:
    """The ``rank``-th percentile (0..100, interpolated); None of nothing."""
    array = np.asarray(values, dtype=np.float64)
    return float(np.percentile(array, rank)) if array.size else None


def critical_value(alpha: float) -> float:
    """How many standard errors a normal estimate is off with probability ``alpha``, on either side."""
    return NormalDist().inv_cdf(1 - alpha / 2)


def mean_interval(values: ArrayLike, clusters: Sequence[str], alpha: float) -> Interval | None:
    """Of a mean score, with confidence 1 - ``alpha``: Wilson's interval (JASA 22, 1927) on the effective size.

    ``values``: ``(requests,)``, 0 to 1. ``clusters``: the cluster of each.
    """
    sample = Sample.of(values, clusters)
    if sample.clusters < 2:
        return None
    low, high = wilson_ends(sample, alpha)
    return Interval(float(low), float(high))


def median_interval(values: ArrayLike, clusters: Sequence[str], alpha: float) -> Interval | None:
    """Of a median, with confidence 1 - ``alpha``, by ranks (Woodruff, JASA 47, 1952) on the effective size.

    The values that the sign test does not reject: it knows that half of all lie below the median, and of the effective
    number of requests how far the share seen may be off. None also when so few were seen that the interval would reach
    beyond all of them.

    ``values``: ``(requests,)``, of per-request ratios say. ``clusters``: the cluster of each.
    """
    sample = Sample.of(values, clusters)
    if sample.clusters < 2:
        return None
    below = Sample((sample.values < np.median(sample.values)).astype(np.float64), sample.starts)
    share = 0.5 - critical_value(alpha) / (2 * np.sqrt(below.effective_size()))
    if share < 0:
        return None
    rank = int(share * sample.requests)
    ascending = np.sort(sample.values)
    return Interval(float(ascending[rank]), float(ascending[-1 - rank]))


def wilson_ends(sample: Sample, alpha: float) -> tuple[Floats, Floats]:
    """``(...)`` and ``(...)``: the ends for each set of the sample, see ``mean_interval``."""
    return wilson(sample.values.mean(axis=-1), sample.effective_size(), alpha)


def wilson(mean: Floats, size: Floats, alpha: float) -> tuple[Floats, Floats]:
    """``(...)`` and ``(...)``: the ends for shares ``mean`` of ``size`` separate requests, ``(...)`` each."""
    square = critical_value(alpha) ** 2
    middle = mean + square / (2 * size)
    reach = np.sqrt(square * (mean * (1 - mean) / size + square / (4 * size**2)))
    shrink = 1 + square / size
    return np.maximum((middle - reach) / shrink, 0), np.minimum((middle + reach) / shrink, 1)
