"""Whether it pays to look: to estimate what is at stake in a request before anything reused is computed.

A look that ends with everything computed before the first token was in vain, and cost time. Where nearly all looks of
late were, everything is computed without one, so that a method that looks is hardly slower than full recomputation on
requests in which nothing can be reused; every few requests another look tells whether that has changed.
"""

from __future__ import annotations

from collections import deque

from runners.records import Repair
from runners.risk.model import EVERYTHING

WINDOW = 16  # looks that are remembered
FEWEST = 8  # looks, before they are judged
MOST_IN_VAIN = 0.75  # of the looks: where one costs a fifth of a prefill and saves three, more do not pay
PAUSE = 8  # requests without a look, before the next one


class Looks:
    """Which looks of one engine of late were in vain."""

    def __init__(self) -> None:
        self._in_vain: deque[bool] = deque(maxlen=WINDOW)
        self._skipped = 0

    @property
    def pay(self) -> bool:
        """Whether to look at the next request."""
        count = len(self._in_vain)
        judged = count >= FEWEST and sum(self._in_vain) > MOST_IN_VAIN * count
        return not judged or self._skipped >= PAUSE

    def note(self, repair: Repair | None, looked: bool) -> None:
        """Remember what was decided before the first token; without a choice by a look, or its omission, nothing."""
        if repair is None:
            return
        if repair.skipped:
            self._skipped += 1
        elif looked and repair.risk is not None:
            self._in_vain.append(repair.share == EVERYTHING)
            self._skipped = 0

    def forget(self) -> None:
        """Start anew."""
        self._in_vain.clear()
        self._skipped = 0
