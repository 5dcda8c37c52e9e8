"""Whether it pays to look: to estimate what is at stake in a request before anything reused is computed.

A look that ends with everything computed was in vain, and cost time. Where the looks of late cost more than they saved,
everything is computed without one, so that a method that looks is hardly slower than full recomputation on requests in
which nothing can be reused; every few requests another look tells whether that has changed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from runners.engine.measure.flops import prefill_flops
from runners.engine.method import PlanContext
from runners.engine.plan import Plan
from runners.risk.model import EVERYTHING

WINDOW = 16  # looks that are remembered
FEWEST = 8  # looks, before they are judged
PAUSE = 8  # requests without a look, before the next one
SMALL_PASS = 2.0  # a pass of few tokens reads all weights for them, and takes so many times what its FLOPs tell


@dataclass(frozen=True)
class Look:
    """The work up to a first token, relative to that of computing everything; None where the look was skipped."""

    work: float | None


class Looks:
    """The looks of one engine of late."""

    def __init__(self) -> None:
        self._work: deque[float] = deque(maxlen=WINDOW)
        self._skipped = 0

    @property
    def pay(self) -> bool:
        """Whether to look at the next request."""
        judged = len(self._work) >= FEWEST and sum(self._work) > len(self._work)
        return not judged or self._skipped >= PAUSE

    def note(self, look: Look | None) -> None:
        """Remember a request; None: nothing of it was looked at or skipped."""
        if look is None:
            return
        if look.work is None:
            self._skipped += 1
            return
        self._work.append(look.work)
        self._skipped = 0

    def forget(self) -> None:
        """Start anew."""
        self._work.clear()
        self._skipped = 0


def weigh(plan: Plan, context: PlanContext, flops: float) -> Look | None:
    """Weigh the look at a request; None where no level of repair was chosen by one.

    Args:
        plan: that was executed last before the first token.
        flops: of all that was computed for it, beside selection.
    """
    repair = plan.repair
    if repair is not None and repair.skipped:
        return Look(None)
    if repair is None or repair.risk is None or context.selection_flops == 0:
        return None
    everything = prefill_flops(context.adapter.shape, context.compute(context.candidates()).nonzero()[:, 0])
    spent = context.selection_flops + flops
    small = {0.0: spent, EVERYTHING: spent - everything}.get(repair.share, context.selection_flops)
    return Look((spent + (SMALL_PASS - 1) * small) / everything)
