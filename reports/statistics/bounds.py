"""One-sided bounds of quantiles: each end is wrong with a probability of ``alpha`` at most, also where little was seen.

``intervals`` has those that the summary shows: two-sided, and right on average. A gate needs ends that hold each by
itself and at small ``alpha``, so the counts behind them are judged by the exact binomial distribution, on the effective
number of requests (``clusters.Sample.effective_size``). An end that nothing is known of is infinite. Changes of scores
have their bounds in ``changes``.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, inf, log, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binom

from reports.statistics.clusters import Sample
from reports.statistics.intervals import UNKNOWN, Interval

ROUNDING = 1e-9


def quantile_bounds(values: ArrayLike, clusters: Sequence[str], share: float, alpha: float) -> Interval:
    """Of the quantile that ``share`` of all values lie below, by ranks, exact for separate requests.

    How many of n values lie below the true quantile is binomial (David and Nagaraja, Order Statistics, 2003, 7.1). Of
    the n-th part of all values, an end is infinite unless ``alpha`` allows for none beyond: the median needs
    ``log(1 / alpha, 2)`` separate requests, the upper end of the 99th percentile some 300 at an ``alpha`` of 0.05.

    ``values``: ``(requests,)``. ``clusters``: the cluster of each.
    """
    sample = Sample.of(values, clusters)
    if sample.clusters < 2:
        return UNKNOWN
    beyond = Sample((sample.values > np.quantile(sample.values, share)).astype(np.float64), sample.starts)
    trials = max(1, int(beyond.effective_size() + ROUNDING))
    ascending, number = np.sort(sample.values), sample.requests
    low, high = int(binom.ppf(alpha, trials, share)), int(binom.isf(alpha, trials, share)) + 1
    return Interval(
        float(ascending[max(1, low * number // trials) - 1]) if low >= 1 else -inf,
        float(ascending[-(-(high - 1) * number // trials)]) if high <= trials else inf,
    )


def quantile_ratio_bounds(
    over: ArrayLike, under: ArrayLike, clusters: Sequence[str], share: float, alpha: float
) -> Interval:
    """Of the quantile of ``over`` / that of ``under``, all above 0: of the TTFT percentiles of two runners, say.

    From the bounds of both by MOVER on the logarithms (Zou and Donner, Statistics in Medicine 27, 2008), which takes
    them for independent. They are not: what slows a request down slows it for both, so the true spread is smaller.

    ``over``, ``under``: ``(requests,)``, of the same requests. ``clusters``: the cluster of each.
    """
    tops, bottoms = (quantile_bounds(np.log(np.asarray(side)), clusters, share, alpha) for side in (over, under))
    top, bottom = (float(np.quantile(np.log(np.asarray(side)), share)) for side in (over, under))
    difference = difference_bounds(top, tops, bottom, bottoms)
    return Interval(exp(difference.low), exp(difference.high))


def difference_bounds(left: float, lefts: Interval, right: float, rights: Interval) -> Interval:
    """Of ``left`` - ``right``, two independent estimates with their bounds: MOVER, see ``quantile_ratio_bounds``."""
    below = sqrt((left - lefts.low) ** 2 + (rights.high - right) ** 2)
    above = sqrt((lefts.high - left) ** 2 + (right - rights.low) ** 2)
    return Interval(left - right - below, left - right + above)


def requests_to_bound_quantile(share: float, alpha: float) -> int:
    """The fewest separate requests with which ``quantile_bounds`` has two finite ends."""
    return int(np.ceil(log(alpha) / log(max(share, 1 - share)) - ROUNDING))
