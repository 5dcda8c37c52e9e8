"""Percentiles over requests of which some were not timed: those timed stand for all others of their kind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def stratified_percentile(values: ArrayLike, strata: Sequence[str], rank: float) -> float | None:
    """The ``rank``-th percentile (0..100, interpolated); None of nothing.

    ``values``: ``(requests,)``, NaN where nothing is known. ``strata``: the kind of each. A known value weighs as much
    as there are requests of its kind to one that is known; where all are, this is ``intervals.percentile``. A kind of
    which nothing is known is left out.
    """
    array, kinds = np.asarray(values, dtype=np.float64), np.asarray(strata, dtype=object)
    known = ~np.isnan(array)
    if not known.any():
        return None
    weights = np.zeros(len(array))
    for kind in set(strata):
        of_kind = kinds == kind
        if (of_kind & known).any():
            weights[of_kind & known] = of_kind.sum() / (of_kind & known).sum()
    array, weights = array[known], weights[known]
    order = np.argsort(array, kind="stable")
    array, weights = array[order], weights[order]
    if (weights == weights[0]).all():
        return float(np.percentile(array, rank))
    middles = np.cumsum(weights) - weights / 2
    places = (middles - middles[0]) / (middles[-1] - middles[0])
    return float(np.interp(rank / 100, places, array))
