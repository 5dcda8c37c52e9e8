"""Where the curve of a family bends: accuracy over what is computed. A curve of agreement has no knee."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reports.sweep.pareto import Point, grouped

FEWEST_FOR_A_KNEE = 3
SMALLEST_RISE = 1e-9


@dataclass(frozen=True)
class Knee:
    """Where a family's curve bends most: beyond it, accuracy costs more work than before."""

    runner: str
    ratio: float | None
    recompute_ratio: float
    accuracy: float


def find_knee(curve: Iterable[Point]) -> Knee | None:
    """The point of a family's curve that stands highest above the chord from its least to its greatest executed ratio.

    None for fewer than three points, and where accuracy does not rise from end to end or no point stands above.
    """
    known = [
        (point.recompute_ratio, point.accuracy, point)
        for point in curve
        if point.recompute_ratio is not None and point.accuracy is not None
    ]
    known.sort(key=lambda entry: entry[:2])
    if len(known) < FEWEST_FOR_A_KNEE:
        return None
    (left, lowest, _), (right, highest, _) = known[0], known[-1]
    if right <= left or highest <= lowest:
        return None
    slope = (highest - lowest) / (right - left)
    heights = [accuracy - lowest - slope * (executed - left) for executed, accuracy, _ in known]
    best = max(range(len(known)), key=heights.__getitem__)
    if heights[best] <= SMALLEST_RISE:
        return None
    executed, accuracy, point = known[best]
    return Knee(point.runner, point.ratio, executed, accuracy)


def find_knees(points: Iterable[Point]) -> dict[str, dict[str, Knee | None]]:
    """The knee of every family that was run at several ratios, by workload and family."""
    return {
        workload[0].workload: {
            curve[0].family: find_knee(curve) for curve in grouped(workload, "family") if len(curve) > 1
        }
        for workload in grouped(points, "workload")
    }
