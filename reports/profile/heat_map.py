"""The error map as a picture: where reuse leaves errors, by layer and token, and what staleness in each layer costs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from reports.profile.error_map import by_token
from reports.profile.sensitivity import LayerCost

WIDTH_INCHES, PANEL_INCHES = 11.0, 2.6
DPI = 150
BRIGHTEST = 99.0  # percentile of the mean errors: a few outliers must not darken the rest


def draw(frame: pd.DataFrame, costs: Sequence[LayerCost], file: Path) -> None:
    """Write the picture of an error map."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)  # in a workload's name, say
        picture(frame, costs).savefig(file, dpi=DPI)


def picture(frame: pd.DataFrame, costs: Sequence[LayerCost]) -> Figure:
    """One panel for each workload on a common scale of colours, and one for the costs of the layers.

    Args:
        frame: see ``error_map.COLUMNS``.
    """
    maps = {str(name): _Map(part) for name, part in frame.groupby("workload", observed=True, sort=False)}
    figure = Figure(figsize=(WIDTH_INCHES, PANEL_INCHES * (len(maps) + 1)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(maps) + 1, 1, squeeze=False)[:, 0]
    known = np.concatenate([drawn.errors[np.isfinite(drawn.errors)] for drawn in maps.values()])
    brightest = float(np.percentile(known, BRIGHTEST)) or 1.0
    for panel, (name, drawn) in zip(panels, maps.items(), strict=False):
        image = drawn.draw(panel, name, brightest)
    figure.colorbar(image, ax=list(panels[:-1]), label="mean relative error of V", extend="max")
    _draw_costs(panels[-1], costs)
    return figure


class _Map:
    """Mean errors of one workload, ``(layers, tokens)``, its media side by side, each as long as the longest."""

    def __init__(self, frame: pd.DataFrame) -> None:
        means = by_token(frame)["relative_v"].reset_index()
        lengths = means.groupby("medium")["token"].max() + 1
        self.borders: NDArray[np.int64] = np.concatenate(([0], np.cumsum(lengths.to_numpy())))
        starts = dict(zip(lengths.index, self.borders, strict=False))
        at = means["medium"].map(starts) + means["token"]
        self.errors: NDArray[np.float64] = np.full((int(means["layer"].max()) + 1, int(self.borders[-1])), np.nan)
        self.errors[means["layer"], at] = means["relative_v"]

    def draw(self, panel: Axes, name: str, brightest: float) -> AxesImage:
        image = panel.imshow(
            self.errors, aspect="auto", origin="lower", interpolation="nearest", vmin=0, vmax=brightest
        )
        for border in self.borders[1:-1]:
            panel.axvline(border - 0.5, color="white", linewidth=1.2)
        panel.set_title(name, parse_math=False)
        panel.set_xlabel("vision token; lines part the media of a prompt")
        panel.set_ylabel("layer")
        panel.yaxis.set_major_locator(MaxNLocator(integer=True))
        return image


def _draw_costs(panel: Axes, costs: Sequence[LayerCost]) -> None:
    layers, means = [cost.layer for cost in costs], [cost.mean for cost in costs]
    lengths = [[cost.mean - cost.lower for cost in costs], [cost.upper - cost.mean for cost in costs]]
    panel.errorbar(layers, means, yerr=lengths, fmt="o", capsize=3, color="#0072B2")
    panel.set_title("what staleness in one layer alone costs, with 95 % intervals")
    panel.set_xlabel("layer")
    panel.set_ylabel("KL of the first token, nats")
    panel.set_ylim(bottom=0)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.grid(alpha=0.25)
