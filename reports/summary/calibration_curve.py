"""The calibration curve of a runner: how often answers change, among requests with about the same estimate of it."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from reports.statistics.binomial import share_interval
from reports.statistics.intervals import Interval
from reports.summary.repair import decided, separate_requests

MOST_BINS = 5
FEWEST_IN_BIN = 20


@dataclass(frozen=True)
class CalibrationBin:
    """Separate requests with about the same estimate; no two of them share media.

    Attributes:
        least, most: of their estimates.
        predicted: mean of their estimates.
        changed: answers of the ``requests`` that differ from the reference's.
        ends: exact bounds of the share of changed answers.
    """

    least: float
    most: float
    predicted: float
    requests: int
    changed: int
    ends: Interval

    @property
    def found(self) -> float:
        """Share of changed answers."""
        return self.changed / self.requests


def calibration_curve(mine: pd.DataFrame, alpha: float) -> list[CalibrationBin]:
    """Bin the separate requests of one runner on one workload by their estimates, in rising order.

    Requests of which everything was computed are left out, for their estimate is 0 by definition, not by the model; but
    not those of which it was computed because a token was in doubt: the model estimated what changes in spite of that.
    The bins hold about equally many, ``FEWEST_IN_BIN`` at least where there are as many at all, and equal estimates
    stay in one bin. No bin where every request was computed, or no estimate was made.
    """
    chosen = decided(mine)
    estimated = (chosen["repair_share"] < 1) | (chosen["repair_in_doubt"] == 1)
    kept = separate_requests(chosen[estimated & chosen["repair_risk"].notna()])
    return [_bin(group, alpha) for _, group in kept.groupby(_places(kept["repair_risk"]))]


def _places(risks: pd.Series[float]) -> pd.Series[int]:
    """Number the bin of every request: by the rank of its estimate, the lowest of its equals."""
    bins = min(MOST_BINS, max(1, len(risks) // FEWEST_IN_BIN))
    return ((risks.rank(method="min") - 1) * bins // max(1, len(risks))).astype(int)


def _bin(group: pd.DataFrame, alpha: float) -> CalibrationBin:
    risks, changed = group["repair_risk"], int((group["agrees"] == 0).sum())
    return CalibrationBin(
        least=float(risks.min()),
        most=float(risks.max()),
        predicted=float(risks.mean()),
        requests=len(group),
        changed=changed,
        ends=share_interval(changed, len(group), alpha),
    )
