"""Percentiles over requests of which some were not timed: those timed stand for all others of their kind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def stratified_percentile(values: ArrayLike, strata: Sequence[str], rank: float) -> float | None:
    """The ``rank``-th percentile (0..100, interpolated); None of nothing.

    ``values``: ``(requests,)``, NaN where nothing is known. ``strata``: the kind of each. A known value weighs as much
    as there are requests of its kind to one that is known, as if it were there so many times; where all are known, this
    is ``intervals.percentile``. A kind of which nothing is known is left out.
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
    order = np.flatnonzero(known)[np.argsort(array[known], kind="stable")]
    array, ends = array[order], np.cumsum(weights[order])
    if np.isclose(ends[-1], len(array)):
        return float(np.percentile(array, rank))
    places = np.stack([ends - weights[order], ends - 1], axis=1)  # of the first and of the last copy of each value
    return float(np.interp(rank / 100 * (ends[-1] - 1), places.ravel(), array.repeat(2)))
