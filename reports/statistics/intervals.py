"""Percentiles, and intervals that respect clusters.

Requests of one cluster share their media, so their errors are not independent. Every interval is the inversion of a
score test on the effective number of requests, see ``clusters.Sample.effective_size``: sound for few requests, and
where no answer or hardly any differs. Of one cluster, or of nothing, the uncertainty is unknown: None. scipy has
Wilson's interval for whole counts alone (``binomtest``), and effective numbers are not whole; Tango's it has not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from reports.statistics.clusters import Floats, Sample

HALVINGS = 50


@dataclass(frozen=True)
class Interval:
    """Both ends, in the unit of the values."""

    low: float
    high: float


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


def difference_interval(values: ArrayLike, clusters: Sequence[str], alpha: float) -> Interval | None:
    """Of a mean difference of scores, with confidence 1 - ``alpha``: Tango's interval on the effective size.

    ``values``: ``(requests,)``, each request's score with one runner less that with another, -1 to 1. ``clusters``: the
    cluster of each.
    """
    sample = Sample.of(values, clusters)
    if sample.clusters < 2:
        return None
    low, high = tango_ends(sample, alpha)
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
    mean, size, square = sample.values.mean(axis=-1), sample.effective_size(), critical_value(alpha) ** 2
    middle = mean + square / (2 * size)
    reach = np.sqrt(square * (mean * (1 - mean) / size + square / (4 * size**2)))
    shrink = 1 + square / size
    return np.maximum((middle - reach) / shrink, 0), np.minimum((middle + reach) / shrink, 1)


def tango_ends(sample: Sample, alpha: float) -> tuple[Floats, Floats]:
    """``(...)`` and ``(...)``: the ends for each set of the sample, see ``difference_interval``."""
    size, square = sample.effective_size(), critical_value(alpha) ** 2
    gained, lost = (np.maximum(sign * sample.values, 0).mean(axis=-1) for sign in (1, -1))
    return -_highest_gain(lost, gained, size, square), _highest_gain(gained, lost, size, square)


def _highest_gain(gained: Floats, lost: Floats, size: Floats, square: float) -> Floats:
    """Upper end of the score interval of paired proportions (Tango, Statistics in Medicine 17, 1998), by bisection.

    ``gained`` and ``lost``: the shares of requests that one runner alone, or the other alone, answers right. Part of a
    score gained counts as that part of a request: no score from 0 to 1 has more variance than 0 and 1 with the same
    mean. Where nothing is gained or lost, the end is ``z^2 / (size + z^2)``.
    """
    seen = gained - lost
    low, high = seen, np.ones_like(seen)
    for _ in range(HALVINGS):
        d = (low + high) / 2
        rejected = size * (d - seen) ** 2 > square * variance_if(d, gained, lost)
        low, high = np.where(rejected, low, d), np.where(rejected, d, high)
    return high


def variance_if(difference: Floats, gained: Floats, lost: Floats) -> Floats:
    """Variance of a request's difference, were the true mean ``difference`` (d) and these shares gained and lost seen.

    The most likely share lost, q, then solves ``2 q^2 + b q - lost d (1 - d) = 0``, and the variance is
    ``2 q + d (1 - d)`` (Tango 1998, equation 3).
    """
    b = (2 - gained + lost) * difference - gained - lost
    q = (np.sqrt(np.maximum(b**2 + 8 * lost * difference * (1 - difference), 0)) - b) / 4
    variance: Floats = 2 * q + difference * (1 - difference)
    return variance
