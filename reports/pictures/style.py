"""Set matplotlib's style for all pictures, and label and scale their axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from reports.pictures.labels import short
from reports.pictures.theme import hexadecimal

HEADROOM = 0.06
STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": 11,
    "axes.edgecolor": hexadecimal("other"),
    "axes.labelcolor": hexadecimal("muted"),
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": hexadecimal("line"),
    "grid.linewidth": 0.8,
    "xtick.color": hexadecimal("other"),
    "ytick.color": hexadecimal("other"),
    "xtick.labelcolor": hexadecimal("muted"),
    "ytick.labelcolor": hexadecimal("muted"),
    "text.color": hexadecimal("ink"),
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "text.parse_math": False,
}


def percent_axis(panel: Axes, lowest: float) -> None:
    """The vertical axis of shares in percent, from about ``lowest`` up to 100, with a little room above."""
    panel.set_ylim(lowest, 100 + (100 - lowest) * HEADROOM)
    ticks = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(lowest, 100)
    panel.yaxis.set_major_locator(FixedLocator([float(tick) for tick in ticks if lowest <= tick <= 100]))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def row_labels(panel: Axes, labels: Sequence[str]) -> None:
    """Name the rows of a panel, the first one on top."""
    with rc_context(STYLE):
        panel.set_yticks(range(len(labels)), [short(label) for label in labels])
    panel.set_ylim(len(labels) - 0.4, -0.6)
    panel.tick_params(axis="y", length=0, labelcolor=hexadecimal("ink"))
    panel.grid(axis="y", visible=False)
    panel.spines["left"].set_visible(False)
