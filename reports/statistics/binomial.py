"""Exact bounds of a share that separate requests show."""

from __future__ import annotations

from scipy.stats import beta

from reports.statistics.intervals import Interval


def share_interval(count: int, requests: int, alpha: float) -> Interval:
    """Bound a share by Clopper and Pearson (Biometrika 26, 1934): each end is wrong with ``alpha`` / 2 at most.

    Args:
        count: of the ``requests``, which are at least one, and no two of which share media.
    """
    return Interval(
        float(beta.ppf(alpha / 2, count, requests - count + 1)) if count else 0.0,
        float(beta.ppf(1 - alpha / 2, count + 1, requests - count)) if count < requests else 1.0,
    )
