"""May a paired difference be chance? The sign-flip test, whole clusters at a time."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import permutation_test

from reports.statistics.clusters import Floats, Sample

Alternative = Literal["different", "greater", "less"]

MOST_ENUMERATED = 16  # clusters that differ; 65,536 signings
BLOCK = 1000  # of signings at a time
DECIMALS = 9  # of sums: scores in parts of one add up to nearly equal ones


def sign_flip_test(
    values: ArrayLike,
    clusters: Sequence[str],
    alternative: Alternative = "different",
    draws: int = 9999,
    seed: int = 0,
) -> float:
    """The probability that the mean lies as far off if neither side was better: a permutation test.

    Were the two sides of every pair exchangeable, each cluster's total could as well have the other sign, whatever its
    requests have in common (Fisher, The Design of Experiments, 1935, section 21; whole clusters as exchangeable blocks:
    Winkler et al., NeuroImage 92, 2014). Exact where at most ``MOST_ENUMERATED`` clusters differ: all signings are
    tried. Else ``draws`` random ones, the data counted as one of them, so that the test holds its level (Phipson and
    Smyth, SAGMB 9, 2010). ``scipy.stats.permutation_test`` flips the signs of the totals, those of 0 left out.

    Args:
        values: ``(requests,)``, what one side has more than the other.
        clusters: the cluster of each.
        alternative: the mean is different from 0, or greater, or less.
        draws: random signings where there are too many to try all.
        seed: of those.
    """
    sample = Sample.of(values, clusters)
    totals = np.add.reduceat(sample.values, sample.starts) if sample.requests else np.zeros(0)
    totals = totals[np.abs(totals) > 10.0**-DECIMALS]
    if not totals.size:
        return 1.0

    if totals.size == 1:
        totals = np.append(totals, 0.0)  # scipy asks for two; with either sign 0 changes no sum

    def statistic(signed: Floats, axis: int) -> Floats:
        sums: Floats = signed.sum(axis=axis).round(DECIMALS)
        return np.abs(sums) if alternative == "different" else sums

    tested = permutation_test(
        (totals,),
        statistic,
        permutation_type="samples",
        vectorized=True,
        n_resamples=inf if totals.size <= MOST_ENUMERATED else draws,
        batch=BLOCK,
        alternative="less" if alternative == "less" else "greater",
        rng=np.random.default_rng(seed),
    )
    return float(tested.pvalue)
