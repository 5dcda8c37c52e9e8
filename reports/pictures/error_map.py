"""Draw where reuse leaves errors, by layer and token, and what staleness in each layer costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from reports.pictures.theme import hexadecimal

BRIGHTEST = 99.0  # percentile of the mean errors: a few outliers must not darken the rest
COLOUR_MAP = "cividis"

Errors = NDArray[np.float64]


def brightest_of(maps: Mapping[str, Errors]) -> float:
    """The error that the brightest colour stands for, common to all maps."""
    known = np.concatenate([errors[np.isfinite(errors)] for errors in maps.values()])
    return (float(np.percentile(known, BRIGHTEST)) if known.size else 0.0) or 1.0


def draw_errors(panel: Axes, errors: Errors, borders: Sequence[float], brightest: float) -> AxesImage:
    """Draw mean errors ``(layers, columns)``, NaN where there is none, with a line at each of the ``borders``."""
    image = panel.imshow(
        errors, aspect="auto", origin="lower", interpolation="none", vmin=0, vmax=brightest, cmap=COLOUR_MAP
    )
    panel.grid(visible=False)
    for border in borders:
        panel.axvline(border, color="white", linewidth=1.2)
    panel.set_xlabel("vision token; lines part the media of a prompt")
    panel.set_ylabel("layer")
    panel.yaxis.set_major_locator(MaxNLocator(integer=True))
    return image


def draw_costs(
    panel: Axes, layers: Sequence[int], means: Sequence[float], lows: Sequence[float], highs: Sequence[float]
) -> list[Artist]:
    """Draw the cost of staleness in each layer, in nats, with its interval; returns the marks of the means."""
    shade = hexadecimal("accent")
    panel.vlines(layers, lows, highs, color=shade, linewidth=1.5)
    marks: list[Artist] = []
    for layer, mean in zip(layers, means, strict=True):
        marks += panel.plot(layer, mean, "o", color=shade, markersize=6)
    panel.set_ylim(bottom=0)
    panel.set_xlabel("layer")
    panel.set_ylabel("KL of the first token, nats")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    return marks
