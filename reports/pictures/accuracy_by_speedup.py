"""Draw accuracy over the speed-up that it is bought with; steps join the Pareto-optimal points, which are numbered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import nan

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from reports.pictures.accuracy_by_work import percent
from reports.pictures.looks import Look, Mark
from reports.pictures.style import percent_axis
from reports.pictures.theme import hexadecimal
from reports.sweep.pareto import Point, grouped

LEAST_SPAN = 10.0
TICKS = (0.25, 0.5, 1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100)


def draw(panel: Axes, points: Sequence[Point], look_of: Callable[[Point], Look]) -> list[Mark]:
    """Draw every point, those of a family joined in grey. An undefined value leaves a gap."""
    front = pareto_front(points)
    steps = [(_speedup(point), percent(point.worth)) for point in front]
    if steps:
        panel.step(*zip(*steps, strict=True), where="post", color=hexadecimal("muted"), linewidth=1.2, zorder=1)
    marks = []
    for curve in grouped(points, "family"):
        speedups, worths = [_speedup(point) for point in curve], [percent(point.worth) for point in curve]
        shade = hexadecimal("other")
        panel.plot(speedups, worths, "-", color=shade, linewidth=1, alpha=0.55, zorder=1, label=curve[0].family)
        for point, speedup, worth in zip(curve, speedups, worths, strict=True):
            look = look_of(point)
            (mark,) = panel.plot(
                speedup,
                worth,
                look.marker,
                color=look.colour,
                markeredgecolor=look.edge,
                markeredgewidth=0.8,
                markersize=look.size,
            )
            marks.append(Mark(mark, point))
    for number, place in enumerate(steps, start=1):
        panel.annotate(str(number), place, (5, 5), textcoords="offset points", weight="bold", color=hexadecimal("ink"))
    _scale(panel, points)
    panel.set_xlabel("speed-up of the time to first token, warm")
    panel.set_ylabel("accuracy, %" if any(point.accuracy is not None for point in points) else "same answers, %")
    return marks


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """The optimal points, the fastest first: the first one is numbered 1."""
    return sorted((point for point in points if point.optimal), key=lambda point: -(point.ttft_speedup or 0.0))


def _speedup(point: Point) -> float:
    return point.ttft_speedup or nan


def _scale(panel: Axes, points: Sequence[Point]) -> None:
    panel.set_xscale("log")
    known = [point.ttft_speedup for point in points if point.ttft_speedup]
    low, high = min(known, default=1.0) / 1.15, max(known, default=1.0) * 1.22
    panel.set_xlim(low, high)
    panel.xaxis.set_major_locator(FixedLocator([tick for tick in TICKS if low <= tick <= high]))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}\N{MULTIPLICATION SIGN}"))
    least = min([100 * point.worth for point in points if point.worth is not None], default=0.0)
    percent_axis(panel, max(min(least, 100 - LEAST_SPAN) - 2, -2))
