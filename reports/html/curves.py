"""Draw accuracy over what is computed, one small chart for each family of a sweep, the others behind it in grey."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from reports.html.chart import Chart, ChartGroup
from reports.pictures import accuracy_by_work
from reports.pictures.labels import short
from reports.pictures.looks import Look
from reports.pictures.svg import Drawing
from reports.pictures.theme import hexadecimal
from reports.runs import Run
from reports.statistics.formatting import interval, number
from reports.sweep.pareto import Point, grouped
from reports.tables.table import Table

WIDTH, HEIGHT = 272, 210
MOST_FAMILIES = 12


def curves(run: Run, name: str) -> list[ChartGroup]:
    """One part for each workload in which some family ran at several ratios."""
    groups = []
    for workload in run.workloads:
        points = [
            point
            for point in run.trade_off.of(workload)
            if point.worth is not None and point.recompute_ratio is not None
        ]
        families = [curve for curve in grouped(points, "family") if len(curve) > 1]
        charts = [
            Chart(short(curve[0].family, 40), _draw(curve, points, run.trade_off.margin, f"{name}-{workload}-{place}"))
            for place, curve in enumerate(families[:MOST_FAMILIES])
        ]
        if charts:
            groups.append(ChartGroup(workload, charts, _numbers(points, workload)))
    return groups


def _draw(curve: Sequence[Point], points: Sequence[Point], margin: float, name: str) -> Markup:
    drawing = Drawing(WIDTH, HEIGHT)
    shade = hexadecimal("accent")
    for mark in accuracy_by_work.draw(drawing.axes(), points, margin, {curve[0].family: Look(shade, "o", shade)}):
        drawing.tell(mark.artist, f"{mark.point.runner}: {_describe(mark.point)}")
    values = ", ".join(f"{number(point.recompute_ratio, '.1%')} {number(point.worth, '.1%')}" for point in curve)
    return drawing.to_svg(f"curve-{name}", f"{curve[0].family}, share computed and accuracy: {values}")


def _describe(point: Point) -> str:
    ends = interval(point.accuracy_ci_low, point.accuracy_ci_high, ".0f", 100)
    return f"{number(point.recompute_ratio, '.1f', 100)} % computed, {number(point.worth, '.1f', 100)} % right {ends}"


def _numbers(points: Sequence[Point], workload: str) -> Table:
    lines = [
        (
            point.runner,
            number(point.ratio, "g"),
            number(point.recompute_ratio, ".1f", 100),
            number(point.worth, ".1f", 100),
            interval(point.accuracy_ci_low, point.accuracy_ci_high, ".0f", 100),
        )
        for point in points
    ]
    return Table.of_numbers(
        f"{workload}, accuracy by ratio", ("runner", "ratio set", "computed, %", "accuracy, %", "interval"), lines
    )
