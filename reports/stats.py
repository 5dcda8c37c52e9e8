"""Percentiles, and 95 % intervals that respect clusters.

Requests of one cluster share their media, so their errors are not independent: whole clusters are resampled, never
single requests. Where one cluster, or nothing, was seen, there is no uncertainty to tell and the answer is None.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

CONFIDENCE = 0.95
DRAWS = 4000
BLOCK_ELEMENTS = 2_000_000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """Both ends of a 95 % interval, in the unit of the values."""

    low: float
    high: float


def percentile(values: ArrayLike, rank: float) -> float | None:
    """The ``rank``-th percentile (0..100, interpolated); None of nothing."""
    array = np.asarray(values, dtype=np.float64)
    return float(np.percentile(array, rank)) if array.size else None


def mean_interval(
    values: ArrayLike, clusters: Sequence[str], bounds: tuple[float, float], seed: int
) -> Interval | None:
    """Interval of a mean, or of a mean paired difference, by the percentile bootstrap over clusters.

    ``values``: ``(requests,)``, each within ``bounds``. ``clusters``: the cluster of each.

    When every cluster has the same mean, resampling shows no spread however few there are, and an all-correct
    sample would claim [1, 1]. Then Wilson's limit for "none of n" bounds the share of clusters that could differ,
    ``u = z^2 / (n + z^2)``, and those may lie anywhere within ``bounds``. For scores that are all 1 this
    is Wilson's interval [n / (n + z^2), 1] with n counting clusters.
    """
    array, codes, count = _by_cluster(values, clusters)
    if count < 2:
        return None
    totals, sizes = np.bincount(codes, array), np.bincount(codes)
    means = totals / sizes
    if np.ptp(means) < 1e-12:
        return _interval_without_spread(float(array.mean()), count, bounds)
    draws = [(weights @ totals) / (weights @ sizes) for weights in _resamples(count, count, seed)]
    return _central(np.concatenate(draws))


def median_interval(values: ArrayLike, clusters: Sequence[str], seed: int) -> Interval | None:
    """Interval of a median, of per-request ratios say, by the percentile bootstrap over clusters.

    ``values``: ``(requests,)``; ``clusters``: the cluster of each.
    """
    array, codes, count = _by_cluster(values, clusters)
    if count < 2:
        return None
    order = np.argsort(array, kind="stable")
    array, codes = array[order], codes[order]
    draws = [_weighted_medians(array, weights[:, codes]) for weights in _resamples(count, array.size, seed)]
    return _central(np.concatenate(draws))


def _by_cluster(values: ArrayLike, clusters: Sequence[str]) -> tuple[Floats, NDArray[np.intp], int]:
    array = np.asarray(values, dtype=np.float64)
    names, codes = np.unique(np.asarray(clusters, dtype=np.str_), return_inverse=True)
    if array.shape != codes.shape:
        raise ValueError(f"{array.size} values but {codes.size} clusters")
    return array, codes, len(names)


def _interval_without_spread(mean: float, count: int, bounds: tuple[float, float]) -> Interval:
    square = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) ** 2
    share = square / (count + square)
    low, high = bounds
    return Interval(mean - share * (mean - low), mean + share * (high - mean))


def _resamples(clusters: int, elements: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """How often each cluster was drawn, ``(draws, clusters)``, in blocks that bound memory."""
    rng = np.random.default_rng(seed)
    block = max(1, BLOCK_ELEMENTS // elements)
    chances = np.full(clusters, 1 / clusters)
    for start in range(0, DRAWS, block):
        yield rng.multinomial(clusters, chances, size=min(block, DRAWS - start))


def _weighted_medians(ascending: Floats, weights: NDArray[np.int64]) -> Floats:
    """Median of each row's sample, in which ``ascending[i]`` stands ``weights[row, i]`` times."""
    running = np.cumsum(weights, axis=1)
    total = running[:, -1:]
    lower = ascending[np.argmax(running * 2 >= total, axis=1)]
    upper = ascending[np.argmax(running * 2 > total, axis=1)]
    middle: Floats = (lower + upper) / 2
    return middle


def _central(draws: Floats) -> Interval:
    tail = (1 - CONFIDENCE) / 2 * 100
    low, high = np.percentile(draws, [tail, 100 - tail])
    return Interval(float(low), float(high))
