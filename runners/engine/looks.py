"""Whether it pays to look at what is at stake in a request, before anything reused is computed.

A look that ends with everything computed was in vain, and cost time. Where the looks of late cost more than they saved,
everything is computed without one, so that a method that looks is hardly slower than full recomputation on requests in
which nothing can be reused; every few requests another look tells whether that has changed.
"""

from __future__ import annotations

from collections import deque

from runners.engine.measure.flops import prefill_flops
from runners.engine.method import PlanContext
from runners.engine.plan import Plan
from runners.risk.model import EVERYTHING

WINDOW = 16  # looks that are remembered
FEWEST = 8  # looks, before they are judged
PAUSE = 8  # requests without a look, before the next one
SMALL_PASS = 2.0  # times as long as its FLOPs tell takes a pass of few tokens, which reads all weights for them


class Looks:
    """The looks of one engine of late, each by the work up to the first token relative to computing everything."""

    def __init__(self) -> None:
        self._work: deque[float] = deque(maxlen=WINDOW)
        self._without = 0

    @property
    def pay(self) -> bool:
        """Whether to look at the next request."""
        judged = len(self._work) >= FEWEST and sum(self._work) > len(self._work)
        return not judged or self._without >= PAUSE

    def note(self, plan: Plan, context: PlanContext, flops: float) -> None:
        """Note a request whose level of repair was chosen, when its first token is out; others are passed over.

        Args:
            plan: that was executed last.
            flops: of all that was computed beside selection.
        """
        repair = plan.repair
        if repair is None or repair.risk is None:
            return
        if repair.unlooked:
            self._without += 1
            return
        everything = prefill_flops(context.adapter.shape, context.compute(context.candidates()).nonzero()[:, 0])
        spent = context.selection_flops + flops
        small = {0.0: spent, EVERYTHING: spent - everything}.get(repair.share, context.selection_flops)
        self._work.append((spent + (SMALL_PASS - 1) * small) / everything)
        self._without = 0

    def forget(self) -> None:
        """Start anew."""
        self._work.clear()
        self._without = 0
