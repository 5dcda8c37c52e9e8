"""Accuracy over the speed-up it is bought with, coloured by what is computed; what nothing beats is numbered."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from reports.html.chart import Chart, Numbers, Part
from reports.html.svg import Drawing, percent_axis
from reports.html.theme import hexadecimal
from reports.runs import Run
from reports.statistics.shown import number
from reports.sweep.pareto import Point

WIDTH, HEIGHT = 360, 300
LEAST_SPAN = 10.0
TICKS = (0.25, 0.5, 1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100)
BORDERS = (0.0, 0.02, 0.1, 0.3, 0.7)  # of classes of what is computed: up to the first, ..., above the last
SHADES = tuple(to_hex(colormaps["cividis"](share)) for share in (0.98, 0.78, 0.58, 0.36, 0.14, 0.0))


def pareto(run: Run, name: str) -> list[Part]:
    """One part for each workload in which something was timed."""
    found = []
    for workload in run.workloads:
        points = [
            point
            for point in run.trade_off.of(workload)
            if point.worth is not None and (point.ttft_speedup or 0.0) > 0 and not point.analysis_only
        ]
        front = sorted((point for point in points if point.optimal), key=lambda point: -(point.ttft_speedup or 0.0))
        if len(points) > 1:
            notes = tuple(f"{place}. {_told(point)}" for place, point in enumerate(front, start=1))
            chart = Chart(workload, _draw(points, front, f"{name}-pareto-{workload}", workload), notes)
            found.append(Part(workload, [chart], _numbers(points, workload)))
    return found


def key() -> list[tuple[str, str]]:
    """Colour and meaning of each class of what is computed."""
    ends = [f"up to {border:.0%}" for border in BORDERS]
    return list(zip(SHADES, ["none", *ends[1:], f"above {BORDERS[-1]:.0%}"], strict=True))


def _draw(points: Sequence[Point], front: Sequence[Point], name: str, workload: str) -> Markup:
    drawing = Drawing(WIDTH, HEIGHT)
    panel = drawing.axes()
    speedups = [point.ttft_speedup or 1.0 for point in points]
    steps = [(point.ttft_speedup or 1.0, (point.worth or 0.0) * 100) for point in front]
    panel.step(*zip(*steps, strict=True), where="post", color=hexadecimal("muted"), linewidth=1.2, zorder=1)
    for point, speedup in zip(points, speedups, strict=True):
        marker, size = ("D", 8) if point.is_reference else ("o", 8)
        (mark,) = panel.plot(
            speedup,
            (point.worth or 0.0) * 100,
            marker,
            color=_shade(point.recompute_ratio),
            markeredgecolor=hexadecimal("ink"),
            markeredgewidth=0.8,
            markersize=size,
        )
        drawing.tell(mark, _told(point))
    for place, (speedup, worth) in enumerate(steps, start=1):
        panel.annotate(
            str(place), (speedup, worth), (5, 5), textcoords="offset points", weight="bold", color=hexadecimal("ink")
        )
    panel.set_xscale("log")
    low, high = min(speedups), max(speedups)
    panel.set_xlim(low / 1.15, high * 1.22)
    panel.xaxis.set_major_locator(FixedLocator([tick for tick in TICKS if low / 1.15 <= tick <= high * 1.22]))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}\N{MULTIPLICATION SIGN}"))
    lowest = min((point.worth or 0.0) * 100 for point in points)
    percent_axis(panel, max(min(lowest, 100 - LEAST_SPAN) - 2, -2))
    panel.set_xlabel("speed-up of the time to first token, warm")
    panel.set_ylabel("accuracy, %" if any(point.accuracy is not None for point in points) else "same answers, %")
    best = "; ".join(_told(point) for point in front)
    return drawing.to_svg(name, f"{workload}: accuracy over speed-up of {len(points)} runners. Pareto-optimal: {best}")


def _shade(ratio: float | None) -> str:
    if ratio is None:
        return hexadecimal("other")
    return SHADES[sum(ratio > border for border in BORDERS)]


def _told(point: Point) -> str:
    return (
        f"{point.runner}: {number(point.worth, '.1f', 100)} %, {number(point.ttft_speedup, '.2f')} times as fast, "
        f"{number(point.recompute_ratio, '.1f', 100)} % computed"
    )


def _numbers(points: Sequence[Point], workload: str) -> Numbers:
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
    return Numbers(f"{workload}, trade-off", head, lines)
