"""Draw the calibration curve of each runner that promises a risk: found against predicted share of changed answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter

from reports.html.chart import Chart, ChartGroup
from reports.pictures.svg import Drawing
from reports.pictures.theme import hexadecimal
from reports.runs import Run
from reports.statistics.formatting import interval, number
from reports.summary.calibration_curve import CalibrationBin, calibration_curve
from reports.tables.table import Table

WIDTH, HEIGHT = 320, 240
TICKS_PERCENT = (0, 1, 2, 5, 10, 20, 50, 100)
LINEAR_UP_TO_PERCENT = 1


def calibration(run: Run, frame: pd.DataFrame, name: str) -> list[ChartGroup]:
    """One part for each workload on which a runner promised a risk and reused something."""
    groups = []
    for workload in run.workloads:
        charts, lines = [], []
        for row in run.rows_of(workload):
            if row.risk_promised is None:
                continue
            mine = frame[(frame["workload"] == workload) & (frame["runner"] == row.runner)]
            bins = calibration_curve(mine, run.trade_off.alpha)
            if bins:
                place = f"{name}-calibration-{workload}-{row.runner}"
                svg = _draw(bins, row.risk_promised, place, f"{workload}, {row.runner}")
                charts.append(Chart(f"{workload}, {row.runner}", svg))
                lines += [_line(row.runner, given, row.risk_promised) for given in bins]
        if charts:
            head = ("runner", "estimates, %", "mean, %", "requests", "changed", "found, %", "bounds", "promised, %")
            groups.append(ChartGroup(workload, charts, Table.of_numbers(f"{workload}, calibration", head, lines)))
    return groups


def _draw(bins: Sequence[CalibrationBin], promised: float, name: str, title: str) -> Markup:
    drawing = Drawing(WIDTH, HEIGHT)
    panel = drawing.axes()
    right = 100 * min(1.0, 1.5 * max(promised, bins[-1].predicted))
    top = 100 * min(1.0, 1.2 * max(promised, *(given.ends.high for given in bins)))
    same = np.linspace(0, min(right, top), 200)
    panel.plot(same, same, color=hexadecimal("muted"), linewidth=1)
    panel.axhline(100 * promised, color=hexadecimal("bad"), linewidth=1, linestyle=(0, (4, 3)))
    for given in bins:
        shade = hexadecimal("bad" if given.ends.low > promised else "accent")
        at = 100 * given.predicted
        panel.plot([at, at], [100 * given.ends.low, 100 * given.ends.high], color=shade, linewidth=2)
        (mark,) = panel.plot(at, 100 * given.found, "o", color=shade, markersize=7, clip_on=False)
        drawing.tell(mark, _describe(given))
    _percent_axes(panel, right, top)
    label = f"{title}: share of changed answers found against predicted, promised {100 * promised:g} %; "
    return drawing.to_svg(name, label + "; ".join(_describe(given) for given in bins))


def _percent_axes(panel: Axes, right: float, top: float) -> None:
    """Scale both axes: linear near 0, logarithmic beyond."""
    panel.set_xscale("symlog", linthresh=LINEAR_UP_TO_PERCENT)
    panel.set_yscale("symlog", linthresh=LINEAR_UP_TO_PERCENT)
    panel.set_xlim(-0.05, right)
    panel.set_ylim(-0.05, top)
    axes: tuple[Axis, Axis] = (panel.xaxis, panel.yaxis)
    for axis, end in zip(axes, (right, top), strict=True):
        axis.set_major_locator(FixedLocator([tick for tick in TICKS_PERCENT if tick <= end]))
        axis.set_minor_locator(FixedLocator([]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.set_xlabel("predicted, % of the answers")
    panel.set_ylabel("changed, %")


def _describe(given: CalibrationBin) -> str:
    return (
        f"{given.changed} of {given.requests} changed, {_percent(given.found)} % {_ends(given)}, "
        f"predicted {_percent(given.predicted)} %"
    )


def _line(runner: str, given: CalibrationBin, promised: float) -> tuple[str, ...]:
    return (
        runner,
        f"{_percent(given.least)} to {_percent(given.most)}",
        _percent(given.predicted),
        f"{given.requests}",
        f"{given.changed}",
        _percent(given.found),
        _ends(given),
        number(promised, "g", 100),
    )


def _percent(share: float) -> str:
    return number(share, ".2f", 100)


def _ends(given: CalibrationBin) -> str:
    return interval(given.ends.low, given.ends.high, ".1f", 100)
