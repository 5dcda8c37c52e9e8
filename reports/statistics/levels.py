"""Default margin of non-inferiority, and default alpha: intervals have the confidence 1 - alpha."""

from __future__ import annotations

from typing import NamedTuple

DEFAULT_MARGIN = 0.02
"""The loss of accuracy, 0..1, that is too much."""

DEFAULT_ALPHA = 0.05

BOUNDED = 0.05
"""A loss of accuracy, 0..1, below which a screen calls a runner safe within bounds, whatever the margin."""


class AlphaShares(NamedTuple):
    """Shares of every alpha that the two ends of a bound may err by, the lower and the upper end of a change.

    Where a run is judged at two looks, these share alpha: each end errs no more often than at one look.
    """

    low: float
    high: float


ONE_LOOK = AlphaShares(1.0, 1.0)
FIRST_LOOK = AlphaShares(0.02, 0.98)
"""Of runners that are judged by the first requests, while others are asked on: they surely lose, or lost too much to be
bounded. What little their largest loss may err by costs the second look less than one request (as in Haybittle, British
Journal of Radiology 44, 1971; Peto et al., British Journal of Cancer 34, 1976)."""
LAST_LOOK = AlphaShares(0.98, 0.02)
"""Of runners that are asked on, which is to bound their largest loss."""
