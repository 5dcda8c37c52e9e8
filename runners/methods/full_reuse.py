"""``full-reuse``: all vision keys and values reused at their new positions; only text is computed.

The limit of position-independent caching at a recompute ratio of 0; with ``rotate=false`` the keys keep the
rotation of the position they were computed at: the negative control, which must be visibly wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

from runners.engine.method import PlanContext
from runners.engine.plan import Plan
from runners.methods.parts.reuse import ReuseMethod


@dataclass(frozen=True)
class FullReuse(ReuseMethod):
    """Recompute no vision token.

    Options:
        rotate: false leaves reused keys at the donor's positions.
    """

    rotate: bool = True

    @property
    def rotates(self) -> bool:
        """See ``Method``."""
        return self.rotate

    def plan(self, context: PlanContext) -> Plan:
        """See ``Method``."""
        return Plan(context.required)
