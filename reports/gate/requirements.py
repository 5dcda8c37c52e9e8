"""What a gate can require of a runner, as data: the keys of a policy, what they bound and how that is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from workloads.reading.mistakes import brief

Limits = dict[str, float | None]
"""By the key of a requirement; None takes a requirement back."""

POINTS, PERCENT, RATIO, COUNT = "points", "percent", "ratio", "count"
MOST = 1e6


@dataclass(frozen=True)
class Requirement:
    """One thing that can be required.

    Attributes:
        key: in a policy.
        title: what is bounded.
        meaning: for the documentation.
        side: whether what was measured must be at least or at most the bound.
        unit: how numbers are shown.
        low, high: the limit in a policy lies between them; ``open_ended`` says that it may not be one of them.
        bound: from the limit in a policy to what is compared with what was measured.
        sampled: whether other requests would have given another number, so that there is something to test; hits and
            computed shares follow from the stream, and are compared as they are.
        against_baseline: whether it compares with an earlier run.
    """

    key: str
    title: str
    meaning: str
    side: Literal["least", "most"]
    unit: str
    low: float
    high: float
    open_ended: bool = False
    bound: Callable[[float], float] = float
    sampled: bool = False
    against_baseline: bool = False

    def read(self, value: object) -> float | None:
        """The limit that a policy names; ValueError with the end of a sentence where it is none."""
        if value is None:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool) and self._allows(value):
            return float(value)
        span = f"between {self.low:g} and {self.high:g}" if self.open_ended else f"from {self.low:g} to {self.high:g}"
        raise ValueError(f"must be a number {span}, or null, not {brief(value)}")

    def _allows(self, value: float) -> bool:
        return self.low < value < self.high if self.open_ended else self.low <= value <= self.high

    def show(self, value: float) -> str:
        """A measured value or a bound, in words."""
        if self.unit == POINTS:
            return f"{100 * value:+.1f} points"
        if self.unit == COUNT:
            return f"{value:g}"
        return f"{100 * value:.1f} %" if self.unit == PERCENT else f"{value:.2f}"

    def ends(self, low: float | None, high: float | None) -> str:
        """Both ends of what was measured, without the unit; ``..`` where nothing is known."""
        scale, spec = {POINTS: (100, "+.1f"), PERCENT: (100, ".1f")}.get(self.unit, (1, ".2f"))
        return ", ".join(".." if end is None else format(scale * end, spec) for end in (low, high))


REQUIREMENTS = {
    requirement.key: requirement
    for requirement in (
        Requirement(
            key="margin",
            title="accuracy change",
            meaning="accuracy, less the reference's, falls by no more than this",
            side="least",
            unit=POINTS,
            low=0,
            high=1,
            open_ended=True,
            bound=lambda limit: -limit,
            sampled=True,
        ),
        Requirement(
            key="min_speedup",
            title="warm speed-up",
            meaning="median of TTFT reference / runner over requests whose media were all sent before",
            side="least",
            unit=RATIO,
            low=0,
            high=MOST,
            open_ended=True,
            sampled=True,
        ),
        Requirement(
            key="max_ttft_p99_ratio",
            title="TTFT p99 ratio",
            meaning="99th percentile of the runner's TTFT / the reference's, over all requests that both answered",
            side="most",
            unit=RATIO,
            low=0,
            high=MOST,
            open_ended=True,
            sampled=True,
        ),
        Requirement(
            key="max_flip_rate",
            title="answer flips",
            meaning="share of answers that differ from the reference's, less that of the noise-floor runner if any",
            side="most",
            unit=PERCENT,
            low=0,
            high=1,
            sampled=True,
        ),
        Requirement(
            key="max_differences",
            title="differing answers",
            meaning="answers of a lossless runner that differ from the reference's and that rounding does not explain",
            side="most",
            unit=COUNT,
            low=0,
            high=MOST,
        ),
        Requirement(
            key="min_hit_rate",
            title="media hits",
            meaning="recurring media served from a store, encoder output or K, V / recurring media",
            side="least",
            unit=PERCENT,
            low=0,
            high=1,
        ),
        Requirement(
            key="min_kv_hit_rate",
            title="KV hits",
            meaning="recurring media whose stored K, V were reused / recurring media",
            side="least",
            unit=PERCENT,
            low=0,
            high=1,
        ),
        Requirement(
            key="max_recompute_ratio",
            title="computed vision",
            meaning="vision token-layers computed / all, over warm requests, as executed",
            side="most",
            unit=PERCENT,
            low=0,
            high=1,
        ),
        Requirement(
            key="max_flops_ratio",
            title="executed FLOPs",
            meaning="FLOPs executed, selection and encoder included / those of full recomputation, over warm requests",
            side="most",
            unit=PERCENT,
            low=0,
            high=MOST,
        ),
        Requirement(
            key="max_accuracy_drop",
            title="accuracy since baseline",
            meaning="accuracy falls by no more than this since the baseline",
            side="least",
            unit=POINTS,
            low=0,
            high=1,
            open_ended=True,
            bound=lambda limit: -limit,
            sampled=True,
            against_baseline=True,
        ),
        Requirement(
            key="max_slowdown",
            title="speed-up since baseline",
            meaning="the warm speed-up is no more than this part lower than in the baseline",
            side="least",
            unit=RATIO,
            low=0,
            high=1,
            open_ended=True,
            bound=lambda limit: 1 - limit,
            sampled=True,
            against_baseline=True,
        ),
        Requirement(
            key="max_hit_rate_drop",
            title="media hits since baseline",
            meaning="the hit rate of recurring media is no more than this lower than in the baseline",
            side="least",
            unit=POINTS,
            low=0,
            high=1,
            bound=lambda limit: -limit,
            against_baseline=True,
        ),
        Requirement(
            key="max_recompute_rise",
            title="computed vision since baseline",
            meaning="the share of vision token-layers computed is no more than this higher than in the baseline",
            side="most",
            unit=POINTS,
            low=0,
            high=1,
            against_baseline=True,
        ),
    )
}
