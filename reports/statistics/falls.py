"""Where accuracy falls although more is computed: the significant falls among all pairs of ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from reports.statistics.clusters import Floats

SAME = 1e-9


@dataclass(frozen=True)
class Fall:
    """Accuracy that is lower at a higher ratio.

    Attributes:
        low_ratio, high_ratio: what is compared.
        drop: mean score at the lower ratio less that at the higher one.
        p_adjusted: probability of a fall as clear between equally good ratios, all pairs of ratios considered.
    """

    low_ratio: float
    high_ratio: float
    drop: float
    p_adjusted: float


def falls(scores: pd.DataFrame, clusters: Sequence[str], alpha: float) -> list[Fall]:
    """Where more is computed and accuracy falls: the significant falls among all pairs of ratios.

    Each pair is compared by the sign test over clusters: between equally good ratios, a cluster that differs is as
    likely worse as better at the higher one. That is exact, whatever requests of one cluster have in common. The chance
    of any false fall is at most ``alpha`` (Holm, Scandinavian Journal of Statistics 6, 1979).

    ``scores``: requests x ratio, of one runner, ratios ascending, no NaN. ``clusters``: the cluster of each request.
    """
    ratios = [float(ratio) for ratio in scores.columns]
    if ratios != sorted(set(ratios)):
        raise ValueError(f"ratios must ascend, not {ratios}")
    if scores.isna().any(axis=None):
        raise ValueError("every request needs a score at every ratio")
    totals = scores.groupby(np.asarray(clusters, dtype=np.str_)).sum().to_numpy(dtype=np.float64)
    pairs = list(combinations(range(len(ratios)), 2))
    chances = _holm([_sign_test(totals[:, low] - totals[:, high]) for low, high in pairs])
    return [
        Fall(ratios[low], ratios[high], drop, chance)
        for (low, high), chance in zip(pairs, chances, strict=True)
        if chance <= alpha and (drop := float((totals[:, low] - totals[:, high]).sum() / len(scores))) > 0
    ]


def _sign_test(losses: Floats) -> float:
    """Probability that as many of the clusters that differ lose by chance. ``losses``: ``(clusters,)``."""
    lost, differing = int((losses > SAME).sum()), int((np.abs(losses) > SAME).sum())
    return float(binomtest(lost, differing, alternative="greater").pvalue) if differing else 1.0


def _holm(chances: Sequence[float]) -> list[float]:
    """The probabilities adjusted for being the least of so many, in the same order, by Holm's procedure.

    scipy has Benjamini and Hochberg's alone (``false_discovery_control``), which bounds another error. statsmodels has
    Holm's, but these lines are not worth a package of that size.
    """
    adjusted, highest = [0.0] * len(chances), 0.0
    for rank, index in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        highest = max(highest, min(1.0, (len(chances) - rank) * chances[index]))
        adjusted[index] = highest
    return adjusted
