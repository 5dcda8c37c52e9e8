"""Which runner of a sweep to choose: the fastest that is known to keep the answers, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, prod

from reports.statistics.needed import Needed
from reports.sweep.pareto import Point, grouped

UNDECIDED = "undecided"
PROVEN = ("non-inferior", "exact")


@dataclass(frozen=True)
class Recommendation:
    """The runner to choose, or why there is none.

    Attributes:
        ttft_speedup: of the runner; over several workloads the lowest of them.
    """

    runner: str | None
    ttft_speedup: float | None
    reason: str


def recommend(points: Sequence[Point], margin: float) -> Recommendation:
    """The fastest runner that is proven non-inferior and faster than the reference, on every workload of ``points``.

    A runner that broke its promise on one of them is not chosen: who wants no more answers changed than that gets more.

    Over several workloads the fastest is the one whose lowest speed-up is highest: what it promises holds whatever the
    mix of requests will be. The geometric mean decides between equals, then accuracy.
    """
    workloads = {point.workload for point in points}
    runners = [runner for runner in grouped(points, "runner") if _can_be_chosen(runner, len(workloads))]
    proven = [runner for runner in runners if all(point.verdict in PROVEN for point in runner)]
    faster = [
        (rank, runner[0].runner) for rank, runner in zip(map(_rank, proven), proven, strict=True) if _faster(runner)
    ]
    if faster:
        rank, label = max(faster, key=lambda entry: entry[0])
        return Recommendation(label, rank[0], f"fastest of {len(proven)} non-inferior on {_named(workloads)}")
    why = _why_none(runners, proven, workloads, margin)
    if broken := dict.fromkeys(point.runner for point in points if point.promise_broken):
        told = f"{', '.join(broken)} changed more answers than promised"
        why = f"{told}; of the others: {why}" if runners else told
    return Recommendation(None, None, why)


def separate_to_prove(point: Point, margin: float) -> float:
    """How many separate requests would prove an undecided point non-inferior, should its change stay what it is.

    Infinite where the change is not within the margin, or no number would do. See ``needed.needed_to_decide``.
    """
    change, needed = point.accuracy_delta, point.needed_separate
    return inf if change is None or needed is None or change <= -margin else needed


def _can_be_chosen(runner: Sequence[Point], workloads: int) -> bool:
    """Whether it may be used at all, and was timed on every workload."""
    timed = all(point.ttft_speedup is not None for point in runner)
    usable = not (runner[0].is_reference or runner[0].analysis_only or any(point.promise_broken for point in runner))
    return timed and usable and len(runner) == workloads


def _faster(runner: Sequence[Point]) -> bool:
    """Whether its speed-up is above 1 beyond doubt on every workload."""
    return all(point.ttft_speedup_ci_low is not None and point.ttft_speedup_ci_low > 1 for point in runner)


def _rank(runner: Sequence[Point]) -> tuple[float, float, float]:
    speedups = [point.ttft_speedup or 0.0 for point in runner]
    return min(speedups), prod(speedups), sum(point.accuracy or 0.0 for point in runner)


def _why_none(runners: Sequence[Sequence[Point]], proven: Sequence[object], workloads: set[str], margin: float) -> str:
    where = f"on {_named(workloads)}"
    judged = [runner for runner in runners if all(point.verdict is not None for point in runner)]
    if runners and all(point.accuracy is None for runner in runners for point in runner):
        return f"no answer {where} was judged"
    if not judged:
        return f"nothing was timed and judged {where}: too few requests"
    known = [runner for runner in judged if all(point.verdict in (*PROVEN, UNDECIDED) for point in runner)]
    undecided = [runner for runner in known if any(point.verdict == UNDECIDED for point in runner)]
    if proven and not undecided:
        return f"what is non-inferior {where} is not faster than the reference"
    if not undecided:
        return f"every runner is inferior {where if len(workloads) == 1 else 'on some workload'}"
    closest = min(undecided, key=lambda runner: (_still_needed(runner, margin), [-place for place in _rank(runner)]))
    needed = _still_needed(closest, margin)
    if needed == inf:
        return f"undecided {where}, and every change seen is beyond the margin"
    most = max(
        (point for point in closest if point.verdict == UNDECIDED), key=lambda point: separate_to_prove(point, margin)
    )
    return f"undecided: {needed_in_words(most)} on {closest[0].runner}"


def needed_in_words(point: Point) -> str:
    """How many requests would decide on an undecided runner."""
    assert point.needed_separate is not None
    return f"{Needed(point.needed_requests, point.needed_separate).count} would decide"


def _still_needed(runner: Sequence[Point], margin: float) -> float:
    return max(separate_to_prove(point, margin) for point in runner if point.verdict == UNDECIDED)


def _named(workloads: set[str]) -> str:
    return next(iter(workloads)) if len(workloads) == 1 else f"all {len(workloads)} workloads"
