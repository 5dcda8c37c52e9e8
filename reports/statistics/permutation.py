"""May a paired difference be chance? The sign-flip test, whole clusters at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from reports.statistics.clusters import Floats, Sample

Alternative = Literal["different", "greater", "less"]

MOST_ENUMERATED = 16  # clusters that differ; 65,536 signings
BLOCK = 1000  # of signings at a time
ROUNDING = 1e-9


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
    Smyth, SAGMB 9, 2010).

    Args:
        values: ``(requests,)``, what one side has more than the other.
        clusters: the cluster of each.
        alternative: the mean is different from 0, or greater, or less.
        draws: random signings where there are too many to try all.
        seed: of those.
    """
    sample = Sample.of(values, clusters)
    totals = np.add.reduceat(sample.values, sample.starts) if sample.requests else np.zeros(0)
    totals = totals[np.abs(totals) > ROUNDING]
    if not totals.size:
        return 1.0
    if totals.size <= MOST_ENUMERATED:
        sums = _all_sums(totals)
        return float(np.mean(_as_far(sums, float(totals.sum()), alternative)))
    rng = np.random.default_rng(seed)
    beyond = 1
    for start in range(0, draws, BLOCK):
        signs = 2.0 * rng.integers(0, 2, (min(BLOCK, draws - start), totals.size)) - 1
        beyond += int(_as_far(signs @ totals, float(totals.sum()), alternative).sum())
    return beyond / (draws + 1)


def _all_sums(totals: Floats) -> Floats:
    """``(2 ** clusters,)``: the sum under every signing."""
    sums = np.zeros(1)
    for total in totals:
        sums = np.concatenate([sums + total, sums - total])
    return sums


def _as_far(sums: Floats, seen: float, alternative: Alternative) -> np.ndarray:
    slack = ROUNDING * (1 + abs(seen))
    if alternative == "different":
        return np.abs(sums) >= abs(seen) - slack
    return sums >= seen - slack if alternative == "greater" else sums <= seen + slack
