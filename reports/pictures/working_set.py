"""Draw what caches gain over the number of distinct media: where they stop to hold them, they stop to pay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from reports.pictures import png
from reports.summary.row import Row

SIZE_INCHES = (7.0, 4.8)
PAYS = 1.05  # times as fast as the reference over all requests, cold ones among them


@dataclass(frozen=True)
class BreakEven:
    """The largest number of distinct media up to which a runner pays at every number; None where it never does."""

    runner: str
    distinct: int | None


def break_even(rows: Mapping[int, Sequence[Row]]) -> list[BreakEven]:
    """Find for each runner but the reference where it stops to pay.

    Args:
        rows: of one workload, the reference's first, by the number of distinct media.
    """
    found = []
    for runner, curve in _curves(rows).items():
        largest = None
        for distinct, row in curve:
            if row.ttft_speedup_all is None or row.ttft_speedup_all < PAYS:
                break
            largest = distinct
        found.append(BreakEven(runner, largest))
    return found


def picture(rows: Mapping[int, Sequence[Row]]) -> Figure:
    """Draw the speed-up over all requests of each runner but the reference; see ``break_even``."""
    with png.styled():
        figure = png.new_figure(*SIZE_INCHES)
        panel = figure.subplots()
        for runner, curve in _curves(rows).items():
            gains = [nan if row.ttft_speedup_all is None else row.ttft_speedup_all for _, row in curve]
            panel.plot([distinct for distinct, _ in curve], gains, "o-", label=runner)
        panel.axhline(1.0, linewidth=1, color="0.6")
        panel.set_xscale("log")
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panel.set_xlabel("distinct cases of media")
        panel.set_ylabel("times as fast as the reference, all requests")
        panel.legend()
    return figure


def _curves(rows: Mapping[int, Sequence[Row]]) -> dict[str, list[tuple[int, Row]]]:
    """Numbers and rows of each runner but the reference, by number."""
    found: dict[str, list[tuple[int, Row]]] = {}
    for distinct in sorted(rows):
        for row in rows[distinct][1:]:
            found.setdefault(row.runner, []).append((distinct, row))
    return found
