"""Draw how the time to first token spreads, and the parts that it is spent on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from reports.html.chart import Chart, ChartGroup
from reports.html.representatives import representatives
from reports.pictures.style import row_labels
from reports.pictures.svg import Drawing
from reports.pictures.theme import hexadecimal, part_colour
from reports.runs import Run
from reports.statistics.formatting import number
from reports.tables.table import Table
from runners.records import Timing, Warmth

WIDTH, ROW, FRAME = 360, 24, 56
RANKS = (5, 25, 50, 75, 95, 99)


def spreads(run: Run, frame: pd.DataFrame, name: str) -> list[ChartGroup]:
    """One part for each workload: quantiles of the time to first token of warm and of cold requests."""
    groups = []
    for workload, labels, asked in _workloads(run, frame):
        charts, lines = [], []
        for warmth in (Warmth.WARM, Warmth.COLD):
            quantiles = _quantiles(asked[asked["warmth"] == warmth.value], labels)
            if quantiles:
                svg = _draw_spread(quantiles, f"{name}-spread-{workload}-{warmth.value}", f"{workload}, {warmth.value}")
                charts.append(Chart(f"{workload}, {warmth.value} requests", svg))
            lines += [(label, warmth.value, *(f"{value:.1f}" for value in ranks)) for label, ranks in quantiles.items()]
        if charts:
            head = ("runner", "requests", *(f"p{rank}, ms" for rank in RANKS))
            groups.append(ChartGroup(workload, charts, Table.of_numbers(f"{workload}, quantiles", head, lines)))
    return groups


def parts(run: Run, frame: pd.DataFrame, name: str) -> list[ChartGroup]:
    """One part for each workload: the mean time that every part of the way to the first token takes, warm requests."""
    groups = []
    for workload, labels, asked in _workloads(run, frame):
        warm = asked[asked["warmth"] == Warmth.WARM.value]
        means = {
            label: [float(mine[f"{part}_ms"].mean()) for part in Timing.parts()]
            for label in labels
            if len(mine := warm[(warm["runner"] == label) & warm["ttft_ms"].notna()])
        }
        if means:
            svg = _draw_parts(means, f"{name}-parts-{workload}", workload)
            lines = [
                (label, *(number(value, ".2f") for value in values), f"{sum(values):.2f}")
                for label, values in means.items()
            ]
            head = ("runner", *(f"{part}, ms" for part in Timing.parts()), "sum, ms")
            numbers = Table.of_numbers(f"{workload}, parts of the time", head, lines)
            groups.append(ChartGroup(workload, [Chart(f"{workload}, warm requests", svg)], numbers))
    return groups


def key() -> list[tuple[str, str, str]]:
    """Colour, name and meaning of every part of the time."""
    return [(part_colour(part), part, meaning) for part, meaning in Timing.parts().items()]


def _workloads(run: Run, frame: pd.DataFrame) -> Iterator[tuple[str, list[str], pd.DataFrame]]:
    for workload in run.workloads:
        labels = representatives(run.trade_off.of(workload), run.trade_off.recommended[workload])
        asked = frame[(frame["workload"] == workload) & frame["runner"].isin(labels)]
        yield workload, labels, asked


def _quantiles(asked: pd.DataFrame, labels: Sequence[str]) -> dict[str, list[float]]:
    times = {label: asked.loc[asked["runner"] == label, "ttft_ms"].dropna() for label in labels}
    return {
        label: [float(value) for value in np.percentile(measured, RANKS)]
        for label, measured in times.items()
        if len(measured) and measured.min() > 0
    }


def _draw_spread(quantiles: dict[str, list[float]], name: str, title: str) -> Markup:
    drawing = Drawing(WIDTH, FRAME + ROW * len(quantiles))
    panel = drawing.axes()
    shade = hexadecimal("accent")
    for row, (label, (least, low, middle, high, most, far)) in enumerate(quantiles.items()):
        panel.plot([least, most], [row, row], color=shade, linewidth=1.5)
        panel.plot([low, high], [row, row], color=shade, linewidth=8, alpha=0.35, solid_capstyle="butt")
        panel.plot(far, row, "|", color=hexadecimal("bad"), markersize=9, markeredgewidth=1.5)
        (mark,) = panel.plot(middle, row, "o", color=shade, markersize=6)
        drawing.tell(mark, f"{label}: median {middle:.1f} ms, p95 {most:.1f} ms, p99 {far:.1f} ms")
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.xaxis.set_minor_formatter(NullFormatter())
    row_labels(panel, list(quantiles))
    panel.set_xlabel("time to first token, ms")
    medians = ", ".join(f"{label} {values[2]:.1f} ms" for label, values in quantiles.items())
    return drawing.to_svg(name, f"{title}: time to first token by runner; medians: {medians}")


def _draw_parts(means: dict[str, list[float]], name: str, workload: str) -> Markup:
    drawing = Drawing(WIDTH, FRAME + ROW * len(means))
    panel = drawing.axes()
    for row, (label, values) in enumerate(means.items()):
        start = 0.0
        for part, value in zip(Timing.parts(), values, strict=True):
            if value > 0:
                (bar,) = panel.barh(row, value, 0.62, start, color=hexadecimal(part_colour(part)))
                drawing.tell(bar, f"{label}, {part}: {value:.2f} ms of {sum(values):.2f} ms")
                start += value
    row_labels(panel, list(means))
    panel.set_xlabel("mean time to first token, ms")
    panel.set_xlim(left=0)
    sums = ", ".join(f"{label} {sum(values):.1f} ms" for label, values in means.items())
    return drawing.to_svg(name, f"{workload}: parts of the mean time to first token of warm requests; sums: {sums}")
