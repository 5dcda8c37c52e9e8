"""``leading-k``: all text and the first k vision tokens of every medium, in all layers.

MPIC-k (arXiv 2502.01960, k = 32) and EPIC's LegoLink-k (arXiv 2410.15332) with a medium as the chunk: the tokens that
turned into false attention sinks when a medium was compiled elsewhere are repaired.

EPIC compiles every chunk alone, and MPIC stores a medium when it is uploaded, before any request: ``donor=isolated``,
in the preset ``mpic``. With donors of earlier requests the rule does better, so ``previous`` is the default here.
"""

from __future__ import annotations

from dataclasses import dataclass

from runners.engine.method import PlanContext
from runners.engine.plan import Plan
from runners.methods.parts.leading import leading
from runners.methods.parts.reuse import ReuseMethod


@dataclass(frozen=True)
class LeadingK(ReuseMethod):
    """Recompute the beginning of every medium.

    Options:
        donor: ``previous`` unless told otherwise, which suits the method better than the authors' ``isolated``.
        k: tokens per medium.
    """

    k: int = 32

    def __post_init__(self) -> None:
        if self.k < 0:
            raise ValueError(f"k must not be negative, not {self.k}")

    def plan(self, context: PlanContext) -> Plan:
        """See ``Method``."""
        return Plan(context.compute(leading(context.reusable, lambda part: self.k)))
