"""Pictures of a sweep: accuracy over what is computed, and over the speed-up that this buys."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from math import nan
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter

from reports.sweep.pareto import Point, grouped
from reports.sweep.trade_off import TradeOff
from workloads.errors import UsageError

SIZE_INCHES = (11.0, 4.8)
DPI = 150
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")  # Okabe and Ito's, less yellow
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "p")  # coprime to the colours: 77 pairs
GREY, LIGHT_GREY = "#555555", "#E4E4E4"
TICKS_PERCENT = (0, 1, 2, 5, 10, 20, 50, 100)
LINEAR_UP_TO_PERCENT = 1
LONGEST_NAME = 80

Style = dict[str, Any]
RING: Style = {"linestyle": "none", "marker": "o", "markersize": 11, "markerfacecolor": "none", "markeredgecolor": GREY}


def draw(found: TradeOff, folder: Path) -> list[Path]:
    """Write one picture for each workload into ``folder``, which is made; returns the files.

    Raises:
        UsageError: the disk refuses.
    """
    files = []
    for workload, name in file_names(found.recommended).items():
        file = folder / name
        figure = picture(found, workload)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)  # in a file's name, say
                figure.savefig(file, dpi=DPI)
        except OSError as error:
            raise UsageError(f"cannot write {file}: {error.strerror}; make room and draw it with --resume") from error
        files.append(file)
    return files


def file_names(workloads: Iterable[str]) -> dict[str, str]:
    """A file name for each workload: letters, digits, dots, dashes and underscores, no two alike in any file system."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for workload in workloads:
        plain = re.sub(r"[^A-Za-z0-9._-]", "_", workload)[:LONGEST_NAME]
        name, number = f"accuracy-{plain}.png", 2
        while name.lower() in taken:
            name, number = f"accuracy-{plain}-{number}.png", number + 1
        taken.add(name.lower())
        names[workload] = name
    return names


def picture(found: TradeOff, workload: str) -> Figure:
    """Both panels of one workload; a family looks alike in all pictures. What is undefined leaves a gap."""
    points, styles = found.of(workload), _styles(found.points)
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    FigureCanvasAgg(figure)
    by_work, by_time = figure.subplots(1, 2, sharey=True)
    for curve in grouped(points, "family"):
        _draw_work(by_work, curve, styles[curve[0].family])
        _draw_time(by_time, curve, styles[curve[0].family])
    for panel in (by_work, by_time):
        _draw_reference(panel, points, found.margin)
        panel.grid(alpha=0.25)
    known = any(point.accuracy is not None for point in points)
    accuracy = f"accuracy in %, with {100 * (1 - found.alpha):g} % intervals"
    by_work.set_ylabel(accuracy if known else "answers that equal the reference's, %")
    by_work.set_xlabel("vision token-layers computed in warm requests, %")
    by_time.set_xlabel("speed-up of the time to first token in warm requests")
    figure.suptitle(workload)
    _explain(figure, points, styles, found.margin)
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    return figure


def _styles(points: Iterable[Point]) -> dict[str, Style]:
    """A colour and a marker for each family."""
    families = [curve[0].family for curve in grouped(points, "family")]
    return {
        family: {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[place % len(MARKERS)], "markersize": 5}
        for place, family in enumerate(families)
    }


def _draw_work(panel: Axes, curve: Sequence[Point], style: Style) -> None:
    """One family over what it computed, joined in the order of the ratios it was set to; near 0 the scale is linear."""
    worth = _percent(point.worth for point in curve)
    ends = [_percent(point.accuracy_ci_low for point in curve), _percent(point.accuracy_ci_high for point in curve)]
    lengths = [[abs(end - middle) for end, middle in zip(side, worth, strict=True)] for side in ends]
    executed = _percent(point.recompute_ratio for point in curve)
    panel.errorbar(executed, worth, yerr=lengths, elinewidth=0.6, **style)
    panel.set_xscale("symlog", linthresh=LINEAR_UP_TO_PERCENT, linscale=0.4)
    panel.set_xlim(-0.15, 130)
    panel.xaxis.set_major_locator(FixedLocator(TICKS_PERCENT))
    panel.xaxis.set_minor_locator(FixedLocator([]))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _draw_time(panel: Axes, curve: Sequence[Point], style: Style) -> None:
    """One family over its speed-up, what is Pareto-optimal ringed."""
    speedup, worth = _known(point.ttft_speedup for point in curve), _percent(point.worth for point in curve)
    panel.plot(speedup, worth, **style)
    ringed = [place for place, point in enumerate(curve) if point.optimal]
    panel.plot([speedup[place] for place in ringed], [worth[place] for place in ringed], **RING)


def _draw_reference(panel: Axes, points: Sequence[Point], margin: float) -> None:
    """The reference's accuracy, and as a band below it what may be lost; nothing where there is no verdict."""
    for point in points:
        if point.is_reference and point.accuracy is not None:
            top = point.accuracy * 100
            panel.axhspan(top - margin * 100, top, color=LIGHT_GREY, zorder=0)
            panel.axhline(top, color=GREY, linewidth=0.8, zorder=1)


def _explain(figure: Figure, points: Sequence[Point], styles: Mapping[str, Style], margin: float) -> None:
    """What each line and mark stands for, beside the panels."""
    families = [curve[0].family for curve in grouped(points, "family")]
    marks = [
        *(Line2D([], [], **styles[family]) for family in families),
        Line2D([], [], **RING),
        Patch(color=LIGHT_GREY),
    ]
    names = [*families, "Pareto-optimal", f"within {margin * 100:g} points\nof the reference"]
    figure.legend(marks, names, loc="outside right center", frameon=False)


def _percent(values: Iterable[float | None]) -> list[float]:
    return [value * 100 for value in _known(values)]


def _known(values: Iterable[float | None]) -> list[float]:
    """The values, NaN for those that are undefined."""
    return [nan if value is None else value for value in values]
