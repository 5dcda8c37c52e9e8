"""What methods with a recompute ratio share: the option, and its check."""

from __future__ import annotations

from dataclasses import dataclass

from runners.methods.parts.reuse import ReuseMethod


@dataclass(frozen=True)
class RatioMethod(ReuseMethod):
    """A method told which share of the vision tokens to recompute, all of them reusable.

    Options:
        ratio: 0..1.
    """

    ratio: float = 0.05

    def __post_init__(self) -> None:
        if not 0 <= self.ratio <= 1:
            raise ValueError(f"ratio must be between 0 and 1, not {self.ratio}")
