"""May a runner stand in for the reference? A test of non-inferiority: does accuracy fall by less than a margin?"""

from __future__ import annotations

import math
from typing import Literal

from reports.statistics.intervals import Interval, critical_value

Verdict = Literal["non-inferior", "inferior", "undecided"]


def verdict_on(change: Interval | None, margin: float) -> Verdict | None:
    """The verdict on a runner whose accuracy less the reference's lies in ``change``; None where that is not known.

    With an interval of confidence 1 - alpha, a runner that loses just the margin passes with a probability of about
    alpha / 2.
    """
    if change is None:
        return None
    if change.low > -margin:
        return "non-inferior"
    return "inferior" if change.high < -margin else "undecided"


def requests_needed(margin: float, alpha: float) -> int:
    """The fewest requests sharing no media with which a runner that changes no score is found non-inferior.

    Its interval reaches down to ``-z^2 / (requests + z^2)``, see ``intervals.difference_interval``.
    """
    square = critical_value(alpha) ** 2
    return max(2, math.floor(square * (1 - margin) / margin) + 1)
