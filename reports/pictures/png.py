"""Make figures of several panels in the style of all pictures, and write them as PNG files."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from reports.pictures.style import STYLE

DPI = 150


def styled() -> AbstractContextManager[None]:
    """The style of all pictures, for as long as a figure is filled."""
    return rc_context({**STYLE, "figure.facecolor": "white"})


def new_figure(width_inches: float, height_inches: float) -> Figure:
    """An empty figure."""
    figure = Figure(figsize=(width_inches, height_inches), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def write(figure: Figure, file: Path | IO[bytes]) -> None:
    """Write a figure as PNG."""
    with styled(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)  # in a file's name, say
        figure.savefig(file, dpi=DPI, format="png")
