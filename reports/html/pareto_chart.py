"""Draw accuracy over speed-up, coloured by what is computed, and list the Pareto-optimal runners by number."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib import colormaps
from matplotlib.colors import to_hex

from reports.html.chart import Chart, ChartGroup
from reports.pictures import accuracy_by_speedup
from reports.pictures.accuracy_by_speedup import pareto_front
from reports.pictures.looks import Look
from reports.pictures.svg import Drawing
from reports.pictures.theme import hexadecimal
from reports.runs import Run
from reports.statistics.formatting import number
from reports.sweep.pareto import Point
from reports.tables.table import Table

WIDTH, HEIGHT = 360, 300
BORDERS = (0.0, 0.02, 0.1, 0.3, 0.7)  # of classes of what is computed: up to the first, ..., above the last
SHADES = tuple(to_hex(colormaps["cividis"](share)) for share in (0.98, 0.78, 0.58, 0.36, 0.14, 0.0))


def pareto(run: Run, name: str) -> list[ChartGroup]:
    """One part for each workload in which something was timed."""
    groups = []
    for workload in run.workloads:
        points = [
            point
            for point in run.trade_off.of(workload)
            if point.worth is not None and (point.ttft_speedup or 0.0) > 0 and not point.analysis_only
        ]
        front = pareto_front(points)
        if len(points) > 1:
            notes = tuple(f"{place}. {_describe(point)}" for place, point in enumerate(front, start=1))
            chart = Chart(workload, _draw(points, front, f"{name}-pareto-{workload}", workload), notes)
            groups.append(ChartGroup(workload, [chart], _numbers(points, workload)))
    return groups


def key() -> list[tuple[str, str]]:
    """Colour and meaning of each class of what is computed."""
    ends = [f"up to {border:.0%}" for border in BORDERS]
    return list(zip(SHADES, ["none", *ends[1:], f"above {BORDERS[-1]:.0%}"], strict=True))


def _draw(points: Sequence[Point], front: Sequence[Point], name: str, workload: str) -> Markup:
    drawing = Drawing(WIDTH, HEIGHT)
    for mark in accuracy_by_speedup.draw(drawing.axes(), points, _look):
        drawing.tell(mark.artist, _describe(mark.point))
    best = "; ".join(_describe(point) for point in front)
    return drawing.to_svg(name, f"{workload}: accuracy over speed-up of {len(points)} runners. Pareto-optimal: {best}")


def _look(point: Point) -> Look:
    return Look(_shade(point.recompute_ratio), "D" if point.is_reference else "o", hexadecimal("ink"), 8)


def _shade(ratio: float | None) -> str:
    if ratio is None:
        return hexadecimal("other")
    return SHADES[sum(ratio > border for border in BORDERS)]


def _describe(point: Point) -> str:
    return (
        f"{point.runner}: {number(point.worth, '.1f', 100)} %, {number(point.ttft_speedup, '.2f')} times as fast, "
        f"{number(point.recompute_ratio, '.1f', 100)} % computed"
    )


def _numbers(points: Sequence[Point], workload: str) -> Table:
    lines = [
        (
            point.runner,
            number(point.worth, ".1f", 100),
            number(point.ttft_speedup, ".2f"),
            number(point.ttft_ms_p50, ".1f"),
            number(point.recompute_ratio, ".1f", 100),
            "yes" if point.optimal else "",
        )
        for point in points
    ]
    head = ("runner", "accuracy, %", "speed-up, warm", "TTFT, ms (all)", "computed, %", "Pareto-optimal")
    return Table.of_numbers(f"{workload}, trade-off", head, lines)
