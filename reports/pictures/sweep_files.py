"""Write the pictures of a sweep as PNG files: accuracy over what is computed, and over the speed-up that this buys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from reports.pictures import accuracy_by_speedup, accuracy_by_work, png
from reports.pictures.files import file_names, write_pictures
from reports.pictures.looks import Look, looks_of
from reports.pictures.theme import hexadecimal
from reports.sweep.pareto import Point, grouped
from reports.sweep.trade_off import TradeOff

SIZE_INCHES = (11.0, 4.8)


def draw(trade_off: TradeOff, folder: Path) -> list[Path]:
    """Write one picture for each workload into ``folder``, which is made and may be no link; returns the files.

    Raises:
        UsageError: the disk refuses.
    """
    names = file_names("accuracy", trade_off.recommended)
    return write_pictures({name: picture(trade_off, workload) for workload, name in names.items()}, folder)


def picture(trade_off: TradeOff, workload: str) -> Figure:
    """Both panels of one workload; a family looks alike in all pictures. What is undefined leaves a gap."""
    points, looks = trade_off.of(workload), looks_of(trade_off.points)
    with png.styled():
        figure = png.new_figure(*SIZE_INCHES)
        by_work, by_time = figure.subplots(1, 2, sharey=True)
        accuracy_by_speedup.draw(by_time, points, lambda point: looks[point.family])
        accuracy_by_work.draw_reference(by_time, points, trade_off.margin)
        accuracy_by_work.draw(by_work, points, trade_off.margin, looks)
        known = any(point.accuracy is not None for point in points)
        accuracy = f"accuracy in %, with {100 * (1 - trade_off.alpha):g} % intervals"
        by_work.set_ylabel(accuracy if known else "answers that equal the reference's, %")
        by_time.set_ylabel("")
        figure.suptitle(workload)
        _explain(figure, points, looks, trade_off.margin)
    return figure


def _explain(figure: Figure, points: Sequence[Point], looks: Mapping[str, Look], margin: float) -> None:
    """What each line and mark stands for, beside the panels."""
    families = [curve[0].family for curve in grouped(points, "family")]
    marks = [
        *(
            Line2D([], [], color=look.colour, marker=look.marker, markersize=look.size)
            for look in map(looks.__getitem__, families)
        ),
        Line2D([], [], color=hexadecimal("muted"), linewidth=1.2),
        Patch(color=hexadecimal("band")),
    ]
    names = [
        *families,
        "Pareto-optimal,\nthe fastest is 1",
        f"within {margin * 100:g} points\nof the reference",
    ]
    figure.legend(marks, names, loc="outside right center", frameon=False)
