"""Draw the change of accuracy of each runner with its interval, against the margin."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from reports.html.chart import Chart, ChartGroup
from reports.html.representatives import representatives
from reports.pictures.style import row_labels
from reports.pictures.svg import Drawing
from reports.pictures.theme import hexadecimal
from reports.runs import Run
from reports.statistics.formatting import interval, number
from reports.sweep.pareto import Point
from reports.tables.table import Table

WIDTH, ROW, FRAME = 360, 24, 56
MARKS = {
    "non-inferior": ("good", "o", True),
    "inferior": ("bad", "X", True),
    "undecided": ("muted", "o", False),
    "exact": ("good", "o", True),
    "broken": ("bad", "X", True),
    None: ("other", "o", False),
}
LEAST_REACH = 5.0


def verdicts(run: Run, name: str) -> list[ChartGroup]:
    """One part for each workload whose answers were judged; ``name`` tells the run's drawings from others."""
    groups = []
    for workload in run.workloads:
        judged = [point for point in run.trade_off.of(workload) if point.accuracy_delta is not None]
        chosen = set(representatives(run.trade_off.of(workload), run.trade_off.recommended[workload]))
        drawn = [point for point in judged if point.runner in chosen and not point.is_reference]
        if drawn:
            chart = Chart(workload, _draw(drawn, run.trade_off.margin, f"{name}-verdicts-{workload}", workload))
            groups.append(ChartGroup(workload, [chart], _numbers(judged, workload)))
    return groups


def _draw(points: Sequence[Point], margin: float, name: str, workload: str) -> Markup:
    drawing = Drawing(WIDTH, FRAME + ROW * len(points))
    panel = drawing.axes()
    panel.axvspan(-margin * 100, 0, color=hexadecimal("band"), zorder=0)
    panel.axvline(0, color=hexadecimal("muted"), linewidth=1)
    panel.axvline(-margin * 100, color=hexadecimal("bad"), linewidth=1, linestyle=(0, (4, 3)))
    for row, point in enumerate(points):
        colour, marker, filled = MARKS.get(point.verdict, MARKS[None])
        shade = hexadecimal(colour)
        change, low, high = point.accuracy_delta, point.accuracy_delta_ci_low, point.accuracy_delta_ci_high
        assert change is not None
        if low is not None and high is not None:
            panel.plot([low * 100, high * 100], [row, row], color=shade, linewidth=2, solid_capstyle="round")
        face = shade if filled else hexadecimal("ground")
        (mark,) = panel.plot(change * 100, row, marker, color=shade, markerfacecolor=face, markersize=7)
        drawing.tell(mark, f"{point.runner}: {_describe(point)}")
    row_labels(panel, [point.runner for point in points])
    ends = [end * 100 for point in points for end in (point.accuracy_delta_ci_low, point.accuracy_delta_ci_high) if end]
    panel.set_xlim(min([-LEAST_REACH, *ends]) - 1, max([LEAST_REACH, *ends]) + 1)
    panel.set_xlabel("change of accuracy, points")
    label = f"{workload}: change of accuracy of {len(points)} runners with intervals, margin {margin * 100:g} points"
    return drawing.to_svg(name, label)


def _describe(point: Point) -> str:
    ends = interval(point.accuracy_delta_ci_low, point.accuracy_delta_ci_high, "+.1f", 100)
    return f"{number(point.accuracy_delta, '+.1f', 100)} points {ends} {point.verdict or ''}".strip()


def _numbers(points: Sequence[Point], workload: str) -> Table:
    lines = [
        (
            point.runner,
            number(point.accuracy, ".1f", 100),
            number(point.accuracy_delta, "+.1f", 100),
            interval(point.accuracy_delta_ci_low, point.accuracy_delta_ci_high, "+.1f", 100),
            point.verdict or "",
        )
        for point in points
    ]
    return Table.of_numbers(
        f"{workload}, change of accuracy", ("runner", "accuracy, %", "change, points", "interval", "verdict"), lines
    )
