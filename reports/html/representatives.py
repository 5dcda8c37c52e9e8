"""Choose the runner that represents its family in drawings with a line for each: a sweep has too many."""

from __future__ import annotations

from collections.abc import Sequence

from reports.sweep.pareto import Point, grouped
from reports.sweep.recommend import Recommendation

MOST = 20
BEST_FIRST = ("exact", "non-inferior", "undecided", "inferior", "broken", None)


def representatives(points: Sequence[Point], choice: Recommendation) -> list[str]:
    """One runner of each family of a workload: the recommended, else the one with the best verdict, then the fastest.

    At most ``MOST``, in the order of the points.
    """
    return [min(curve, key=lambda point: _rank(point, choice)).runner for curve in grouped(points, "family")][:MOST]


def _rank(point: Point, choice: Recommendation) -> tuple[bool, int, float, float]:
    verdict = BEST_FIRST.index(point.verdict) if point.verdict in BEST_FIRST else len(BEST_FIRST)
    return point.runner != choice.runner, verdict, -(point.worth or 0.0), -(point.ttft_speedup or 0.0)
