"""Draw what caches gain over the number of distinct media: where they stop to hold them, they stop to pay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from reports.pictures import png
from reports.summary.row import Row
from reports.sweep.working_set import curves

SIZE_INCHES = (7.0, 4.8)


def picture(rows: Mapping[int, Sequence[Row]]) -> Figure:
    """Draw the speed-up of each runner but the reference, all requests together."""
    with png.styled():
        figure = png.new_figure(*SIZE_INCHES)
        panel = figure.subplots()
        for runner, curve in curves(rows).items():
            gains = [nan if row.ttft_speedup_total is None else row.ttft_speedup_total for _, row in curve]
            panel.plot([distinct for distinct, _ in curve], gains, "o-", label=runner)
        panel.axhline(1.0, linewidth=1, color="0.6")
        panel.set_xscale("log")
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panel.set_xlabel("distinct cases of media")
        panel.set_ylabel("times as fast as the reference, all requests")
        panel.legend()
    return figure
