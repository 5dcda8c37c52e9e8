"""Draw accuracy over the share of the vision work that is computed, one line for each family of runners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter

from reports.pictures.looks import Look, Mark
from reports.pictures.style import percent_axis
from reports.pictures.theme import hexadecimal
from reports.sweep.pareto import Point, grouped

TICKS_PERCENT = (0, 1, 2, 5, 10, 20, 50, 100)
LINEAR_UP_TO_PERCENT = 1
LEAST_SPAN = 5.0


def draw(panel: Axes, points: Sequence[Point], margin: float, looks: Mapping[str, Look]) -> list[Mark]:
    """Draw the families in ``looks`` with their intervals, the others behind them in grey.

    Points are joined in the order of the ratios that were set. An undefined value leaves a gap. Near 0 the horizontal
    scale is linear, beyond it logarithmic.
    """
    draw_reference(panel, points, margin)
    marks: list[Mark] = []
    for curve in sorted(grouped(points, "family"), key=lambda curve: curve[0].family in looks):
        look = looks.get(curve[0].family)
        if look is None:
            panel.plot(*_places(curve), "-", color=hexadecimal("other"), linewidth=1, alpha=0.55)
        else:
            marks += _draw_curve(panel, curve, look)
    _scale(panel, points)
    known = any(point.accuracy is not None for point in points)
    panel.set_ylabel("accuracy, %" if known else "same answers, %")
    panel.set_xlabel("vision work computed, %")
    return marks


def draw_reference(panel: Axes, points: Sequence[Point], margin: float) -> None:
    """The reference's accuracy, and as a band below it what may be lost; nothing where there is no verdict."""
    for point in points:
        if point.is_reference and point.accuracy is not None:
            top = point.accuracy * 100
            panel.axhspan(top - margin * 100, top, color=hexadecimal("band"), zorder=0)


def percent(value: float | None) -> float:
    """A share in percent, NaN where it is undefined."""
    return nan if value is None else value * 100


def _draw_curve(panel: Axes, curve: Sequence[Point], look: Look) -> list[Mark]:
    ratios, worths = _places(curve)
    panel.plot(ratios, worths, "-", color=look.colour, linewidth=2, label=curve[0].family)
    whole = [
        (ratio, point.accuracy_ci_low * 100, point.accuracy_ci_high * 100)
        for ratio, point in zip(ratios, curve, strict=True)
        if point.accuracy_ci_low is not None and point.accuracy_ci_high is not None
    ]
    if whole:
        panel.vlines(*zip(*whole, strict=True), color=look.colour, linewidth=1, alpha=0.6)
    marks = []
    for point, ratio, worth in zip(curve, ratios, worths, strict=True):
        (mark,) = panel.plot(ratio, worth, look.marker, color=look.colour, markersize=look.size)
        marks.append(Mark(mark, point))
    return marks


def _places(curve: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [percent(point.recompute_ratio) for point in curve], [percent(point.worth) for point in curve]


def _scale(panel: Axes, points: Sequence[Point]) -> None:
    panel.set_xscale("symlog", linthresh=LINEAR_UP_TO_PERCENT, linscale=0.4)
    panel.set_xlim(-0.15, 130)
    panel.grid(axis="x", visible=False)
    panel.xaxis.set_major_locator(FixedLocator(TICKS_PERCENT))
    panel.xaxis.set_minor_locator(FixedLocator([]))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    lows = [point.worth if point.accuracy_ci_low is None else point.accuracy_ci_low for point in points]
    least = min([100 * low for low in lows if low is not None], default=0.0)
    percent_axis(panel, max(min(least, 100 - LEAST_SPAN) - 2, 0))
