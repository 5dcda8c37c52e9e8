"""What each setting of a sweep costs in answers and gains in time: points, and which of them are Pareto-optimal.

Settings are compared by what they execute, never by the ratio they were set to. Accuracy and speed-up are those of
the summary: an undefined one is None and takes part in nothing. Without gold answers agreement stands for accuracy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from reports.run.descriptions import SweptRunner
from reports.run.manifest import Manifest
from reports.summary.risk_notices import promise_is_broken
from reports.summary.row import Row


@dataclass(frozen=True)
class Measured:
    """What is taken over from a summary row, under the same names."""

    runner: str
    workload: str
    requests: int
    recompute_ratio: float | None
    executed_flops_ratio: float | None
    accuracy: float | None
    accuracy_ci_low: float | None
    accuracy_ci_high: float | None
    accuracy_delta: float | None
    accuracy_delta_ci_low: float | None
    accuracy_delta_ci_high: float | None
    agreement: float | None
    verdict: str | None
    loss_at_most: float | None
    needed_separate: int | None
    needed_requests: int | None
    ttft_speedup: float | None
    ttft_speedup_ci_low: float | None
    ttft_ms_p50: float | None


@dataclass(frozen=True)
class Point(Measured):
    """One runner on one workload.

    Attributes:
        family: what the runner was before it was given a ratio; its own label where it was given none.
        ratio: as it was set; None for a runner that takes none.
        is_reference: whether the others are compared with it.
        analysis_only: whether it looks at what it is to save, which nobody can use.
        promise_broken: whether it surely changed more answers than it promised.
        optimal: whether no other point of the workload is worth at least as much and as fast, and better in one.
    """

    family: str
    ratio: float | None
    is_reference: bool
    analysis_only: bool
    promise_broken: bool = False
    optimal: bool = False

    @property
    def worth(self) -> float | None:
        """Accuracy; where no answer is known to be right, agreement with the reference."""
        return self.agreement if self.accuracy is None else self.accuracy


def find_points(rows: Sequence[Row], manifest: Manifest) -> list[Point]:
    """The points of all workloads: within each the reference's family first, the others as given, ratios ascending."""
    runners = {runner.label: runner for runner in manifest.runners}
    names = [entry.name for entry in fields(Measured)]
    points: list[Point] = []
    for row in rows:
        runner = runners[row.runner]
        alone = SweptRunner(row.runner, runner.options.get("ratio"))
        swept = manifest.sweep.runners.get(row.runner, alone) if manifest.sweep else alone
        point = Point(
            **{name: getattr(row, name) for name in names},
            family=swept.family,
            ratio=swept.ratio,
            is_reference=row.runner == manifest.reference,
            analysis_only=runner.analysis_only,
            promise_broken=promise_is_broken(row),
        )
        points.append(point)
    return [point for workload in grouped(points, "workload") for point in _mark(_in_order(workload))]


def grouped(points: Iterable[Point], name: str) -> list[list[Point]]:
    """The points by the value of the field ``name``, in the order in which the values first occur."""
    groups: dict[Any, list[Point]] = {}
    for point in points:
        groups.setdefault(getattr(point, name), []).append(point)
    return list(groups.values())


def _in_order(workload: Sequence[Point]) -> list[Point]:
    """By family, the reference's first, and within it by ratio."""
    families = [curve[0].family for curve in grouped(workload, "family")]
    first = {point.family for point in workload if point.is_reference}
    return sorted(
        workload, key=lambda point: (point.family not in first, families.index(point.family), point.ratio or 0)
    )


def _mark(workload: Sequence[Point]) -> list[Point]:
    """The points of one workload, each knowing whether it is optimal among those that can be used."""
    rivals = [
        (point.worth, point.ttft_speedup)
        for point in workload
        if point.worth is not None and point.ttft_speedup is not None and not point.analysis_only
    ]
    return [replace(point, optimal=_is_optimal(point, rivals)) for point in workload]


def _is_optimal(point: Point, rivals: Sequence[tuple[float, float]]) -> bool:
    worth, speedup = point.worth, point.ttft_speedup
    if worth is None or speedup is None or point.analysis_only:
        return False
    return not any(
        other >= worth and faster >= speedup and (other, faster) != (worth, speedup) for other, faster in rivals
    )
