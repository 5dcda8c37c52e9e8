"""The base of methods with a recompute ratio: the option, and its check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from runners.defaults import from_setting
from runners.engine.method import PlanContext
from runners.methods.parts.reuse import ReuseMethod


@dataclass(frozen=True)
class RatioMethod(ReuseMethod):
    """A method that recomputes a given share of the vision tokens, all of them reusable.

    Options:
        ratio: 0..1.

    Class attributes:
        keeps_to_ratio: whether no more than that is ever executed; not so where some layers always compute all tokens.
        rounds_up: whether the number of tokens that a share comes to is rounded up, as some authors do, and not down.
    """

    keeps_to_ratio: ClassVar[bool] = True
    rounds_up: ClassVar[bool] = False

    ratio: float = from_setting("recompute_ratio")

    def __post_init__(self) -> None:
        if not 0 <= self.ratio <= 1:
            raise ValueError(f"ratio must be between 0 and 1, not {self.ratio}")

    def budget(self, context: PlanContext, ratio: float) -> int:
        """Count the reusable tokens that a ratio allows to recompute, see ``PlanContext.budget``."""
        return context.budget(ratio, up=self.rounds_up)
