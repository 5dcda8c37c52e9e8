"""Draw the time to first token, and the share of answers that keep the objective, over the rate of requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from reports.pictures import png
from reports.run.manifest import AtRate
from reports.summary.row import Row

SIZE_INCHES = (11.0, 4.8)
KEPT = 0.99  # share of answers that keep the objective, up to the knee
SLOWER = 2.0  # times the time to first token at the lowest rate, likewise, where there is no objective


@dataclass(frozen=True)
class Knee:
    """The highest rate up to which a runner keeps what is asked of it at every rate; None where not even the lowest."""

    family: str
    rate: float | None


def curves(rows: Sequence[Row], rates: Mapping[str, AtRate]) -> dict[str, list[tuple[float, Row]]]:
    """The rows of one workload by family, with their rates, ascending."""
    found: dict[str, list[tuple[float, Row]]] = {}
    for row in rows:
        if row.runner in rates:
            found.setdefault(rates[row.runner].family, []).append((rates[row.runner].rate, row))
    return {family: sorted(curve, key=lambda place: place[0]) for family, curve in found.items()}


def knees(rows: Sequence[Row], rates: Mapping[str, AtRate]) -> list[Knee]:
    """Find the knee of every family of one workload's rows."""
    return [Knee(family, _knee(curve)) for family, curve in curves(rows, rates).items()]


def picture(rows: Sequence[Row], rates: Mapping[str, AtRate]) -> Figure:
    """Draw the families of one workload's rows: median and 99th percentile, and the share that keeps the objective."""
    with png.styled():
        figure = png.new_figure(*SIZE_INCHES)
        has_objective = any(row.slo_share is not None for row in rows)
        panels = figure.subplots(1, 2 if has_objective else 1, squeeze=False)[0]
        for family, curve in curves(rows, rates).items():
            (line,) = panels[0].plot(*_places(curve, "ttft_ms_p50"), "o-", label=family)
            panels[0].plot(*_places(curve, "ttft_ms_p99"), "--", color=line.get_color(), linewidth=1)
            knee = _knee(curve)
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


def _knee(curve: Sequence[tuple[float, Row]]) -> float | None:
    found = None
    lowest = curve[0][1].ttft_ms_p50
    for rate, row in curve:
        if row.slo_share is not None:
            holds = row.slo_share >= KEPT
        else:
            holds = None not in (lowest, row.ttft_ms_p50) and _or_nan(row.ttft_ms_p50) <= SLOWER * _or_nan(lowest)
        if not holds:
            break
        found = rate
    return found


def _or_nan(value: float | None) -> float:
    return nan if value is None else value
