"""Draw the time to first token, and the share of answers that keep the objective, over the rate of requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from reports.pictures import png
from reports.run.descriptions import AtRate
from reports.summary.row import Row
from reports.sweep.load_knee import Knee, curves

SIZE_INCHES = (11.0, 4.8)


def picture(rows: Sequence[Row], rates: Mapping[str, AtRate], found: Sequence[Knee]) -> Figure:
    """Draw the families of one workload's rows: median and 99th percentile, and the share that keeps the objective."""
    with png.styled():
        figure = png.new_figure(*SIZE_INCHES)
        has_objective = any(row.slo_share is not None for row in rows)
        panels = figure.subplots(1, 2 if has_objective else 1, squeeze=False)[0]
        for family, curve in curves(rows, rates).items():
            (line,) = panels[0].plot(*_places(curve, "ttft_ms_p50"), "o-", label=family)
            panels[0].plot(*_places(curve, "ttft_ms_p99"), "--", color=line.get_color(), linewidth=1)
            knee = next(knee.rate for knee in found if knee.family == family)
            if knee is not None:
                panels[0].axvline(knee, color=line.get_color(), linewidth=1, alpha=0.4)
            if has_objective:
                panels[1].plot(*_places(curve, "slo_share", 100), "o-", color=line.get_color())
        panels[0].set_yscale("log")
        for axis in (panels[0].yaxis.set_major_formatter, panels[0].yaxis.set_minor_formatter):
            axis(FuncFormatter(lambda value, _: f"{value:g}"))
        panels[0].set_ylabel("TTFT, ms: median, dashed 99 %")
        panels[0].legend()
        for panel in panels:
            panel.set_xlabel("requests a second; vertical line: knee" if panel is panels[0] else "requests a second")
        if has_objective:
            panels[1].set_ylabel("answers that keep the objective, %")
            panels[1].set_ylim(-2, 102)
    return figure


def _places(curve: Sequence[tuple[float, Row]], column: str, scale: float = 1) -> tuple[list[float], list[float]]:
    """Rates, and a column of the rows at them, NaN where it is undefined."""
    return [rate for rate, _ in curve], [scale * _or_nan(getattr(row, column)) for _, row in curve]


def _or_nan(value: float | None) -> float:
    return nan if value is None else value
