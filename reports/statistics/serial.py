"""Intervals for what requests under load took: they wait for each other, so that neighbours are alike.

A request that comes while the queue is long is as late as those around it. What n such requests tell is counted as what
fewer separate ones would: n over the sum of the autocorrelations of whether each was below the percentile, as for
quantiles of Markov chains (Vehtari et al., arXiv 1903.08008); and never more than what their shared media leave of
them, see ``clusters``. With that number the intervals are exact for separate requests: order statistics by the
binomial distribution, and Wilson's interval of a share.

They hold for a stationary run: more requests of the same kind at the same rate, the queue as long at the end as at the
beginning. They do not cover a rate above what a server can do (times then grow with the run), another day or machine,
nor another draw of the arrivals where the run is shorter than a few of its busy times.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binom

from reports.statistics.clusters import Floats, Sample
from reports.statistics.intervals import Interval, wilson

FEWEST = 2


def percentile_interval(values: ArrayLike, rank: float, clusters: Sequence[str], alpha: float) -> Interval | None:
    """Bound a percentile by two of the values; an end that would have to lie beyond all of them is infinite.

    So a high percentile of few requests has a lower bound alone. Its requests also count as no more separate ones than
    those of the median, whose neighbours tell better how long a busy time lasts.

    Args:
        values: ``(requests,)`` in the order in which requests were sent; None is known of fewer than two.
        rank: of the percentile, above 0 and below 100.
        clusters: of each request: those that share media.
        alpha: each end is wrong with at most half of it.
    """
    ascending = np.sort(given := np.asarray(values, dtype=np.float64))
    count, share = len(given), rank / 100
    if count < FEWEST:
        return None
    size = min(_size((given < np.percentile(given, at)).astype(np.float64), clusters) for at in (rank, 50))
    low, high = int(binom.ppf(alpha / 2, size, share)), int(binom.ppf(1 - alpha / 2, size, share)) + 1
    first, last = (low - 1) * count // size, -(-high * count // size) - 1
    return Interval(
        float(ascending[first]) if low >= 1 else -inf,
        float(ascending[last]) if high <= size else inf,
    )


def serial_share_interval(flags: ArrayLike, clusters: Sequence[str], alpha: float) -> Interval | None:
    """Bound the share of requests that kept to something: Wilson's interval; None of fewer than two requests.

    Args:
        flags: ``(requests,)`` 0 or 1, in the order in which requests were sent.
        clusters, alpha: see ``percentile_interval``.
    """
    given = np.asarray(flags, dtype=np.float64)
    if len(given) < FEWEST:
        return None
    low, high = wilson(np.array(given.mean()), np.array(float(_size(given, clusters))), alpha)
    return Interval(float(low), float(high))


def serial_size(flags: Floats) -> float:
    """Of how many separate requests the share of ``flags``, ``(requests,)`` 0 or 1, would be as uncertain.

    Requests over ``1 + 2 (r1 + r2 + ...)`` of their autocorrelations r, which are summed in pairs for as long as those
    are positive and do not rise (Geyer, Statistical Science 7, 1992). At most all requests, and all where none differs.
    """
    count = len(flags)
    deviations = flags - flags.mean()
    variance = float(deviations @ deviations)
    if variance == 0:
        return float(count)
    length = 1 << (2 * count - 1).bit_length()
    spectrum = np.fft.rfft(deviations, length)
    correlations = np.fft.irfft(spectrum * spectrum.conj(), length)[:count] / variance
    pairs = correlations[: count // 2 * 2].reshape(-1, 2).sum(axis=1)
    first_negative = np.flatnonzero(pairs <= 0)
    positive = pairs[: first_negative[0]] if first_negative.size else pairs
    inflation = 2 * float(np.minimum.accumulate(positive).sum()) - 1
    return count / max(inflation, 1.0)


def _size(flags: Floats, clusters: Sequence[str]) -> int:
    shared = float(Sample.of(flags, clusters).effective_size())
    return max(1, int(min(serial_size(flags), shared)))
