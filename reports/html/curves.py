"""Accuracy over what is computed, one small drawing for each family of a sweep, the others behind it in grey."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter

from reports.html.chart import Chart, Numbers, Part
from reports.html.svg import Drawing, percent_axis, short
from reports.html.theme import hexadecimal
from reports.runs import Run
from reports.statistics.shown import interval, number
from reports.sweep.pareto import Point, grouped

WIDTH, HEIGHT = 272, 210
TICKS_PERCENT = (0, 1, 2, 5, 10, 20, 50, 100)
LINEAR_UP_TO_PERCENT = 1
MOST_FAMILIES = 12
LEAST_SPAN = 5.0


def curves(run: Run, name: str) -> list[Part]:
    """One part for each workload in which some family ran at several ratios."""
    found = []
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
            found.append(Part(workload, charts, _numbers(points, workload)))
    return found


def _draw(curve: Sequence[Point], points: Sequence[Point], margin: float, name: str) -> Markup:
    drawing = Drawing(WIDTH, HEIGHT)
    panel = drawing.axes()
    for point in points:
        if point.is_reference and point.worth is not None:
            panel.axhspan((point.worth - margin) * 100, point.worth * 100, color=hexadecimal("band"), zorder=0)
    for other in grouped(points, "family"):
        if other[0].family != curve[0].family:
            panel.plot(_ratios(other), _worths(other), "-", color=hexadecimal("other"), linewidth=1, alpha=0.55)
    shade = hexadecimal("accent")
    panel.plot(_ratios(curve), _worths(curve), "-", color=shade, linewidth=2)
    for point, ratio, worth in zip(curve, _ratios(curve), _worths(curve), strict=True):
        if point.accuracy_ci_low is not None and point.accuracy_ci_high is not None:
            ends = [point.accuracy_ci_low * 100, point.accuracy_ci_high * 100]
            panel.plot([ratio, ratio], ends, color=shade, linewidth=1, alpha=0.6)
        (mark,) = panel.plot(ratio, worth, "o", color=shade, markersize=6)
        drawing.tell(mark, f"{point.runner}: {_told(point)}")
    _scale(panel, points)
    known = any(point.accuracy is not None for point in points)
    panel.set_ylabel("accuracy, %" if known else "same answers, %")
    panel.set_xlabel("vision work computed, %")
    told = ", ".join(f"{number(point.recompute_ratio, '.1%')} {number(point.worth, '.1%')}" for point in curve)
    return drawing.to_svg(f"curve-{name}", f"{curve[0].family}, share computed and accuracy: {told}")


def _scale(panel: Axes, points: Sequence[Point]) -> None:
    """Near 0 the scale of what is computed is linear, beyond it logarithmic; all families share both scales."""
    panel.set_xscale("symlog", linthresh=LINEAR_UP_TO_PERCENT, linscale=0.4)
    panel.set_xlim(-0.15, 130)
    panel.grid(axis="x", visible=False)
    panel.xaxis.set_major_locator(FixedLocator(TICKS_PERCENT))
    panel.xaxis.set_minor_locator(FixedLocator([]))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    lows = [(low if low is not None else worth) for low, worth in ((p.accuracy_ci_low, p.worth or 0.0) for p in points)]
    least = min(lows) * 100
    percent_axis(panel, max(min(least, 100 - LEAST_SPAN) - 2, 0))


def _ratios(points: Sequence[Point]) -> list[float]:
    return [(point.recompute_ratio or 0.0) * 100 for point in points]


def _worths(points: Sequence[Point]) -> list[float]:
    return [(point.worth or 0.0) * 100 for point in points]


def _told(point: Point) -> str:
    ends = interval(point.accuracy_ci_low, point.accuracy_ci_high, ".0f", 100)
    return f"{number(point.recompute_ratio, '.1f', 100)} % computed, {number(point.worth, '.1f', 100)} % right {ends}"


def _numbers(points: Sequence[Point], workload: str) -> Numbers:
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
    return Numbers(
        f"{workload}, accuracy by ratio", ("runner", "ratio set", "computed, %", "accuracy, %", "interval"), lines
    )
