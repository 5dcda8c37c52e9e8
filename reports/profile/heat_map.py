"""Arrange the errors of a profile by layer and token, and write the picture of its error map as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reports.pictures import png
from reports.pictures.error_map import Errors, brightest_of, draw_costs, draw_errors
from reports.profile.error_map import by_token
from reports.profile.sensitivity import LayerCost

WIDTH_INCHES, PANEL_INCHES = 11.0, 2.6


@dataclass(frozen=True)
class ErrorGrid:
    """Mean relative errors of V of one workload, the media of a prompt side by side, each as long as the longest.

    Attributes:
        errors: ``(layers, columns)``, NaN where there is no token.
        borders: between which columns a medium ends, in units of columns from the middle of the first.
    """

    errors: Errors
    borders: tuple[float, ...]

    @classmethod
    def of(cls, frame: pd.DataFrame, most_columns: int | None = None) -> Self:
        """The grid of one workload's ``error_map.COLUMNS``; beyond ``most_columns`` neighbours are averaged."""
        means = by_token(frame)["relative_v"].reset_index()
        lengths = means.groupby("medium")["token"].max() + 1
        starts = np.concatenate(([0], np.cumsum(lengths.to_numpy())))
        tokens = int(starts[-1])
        group = 1 if most_columns is None else -(-tokens // most_columns)
        at = (means["medium"].map(dict(zip(lengths.index, starts, strict=False))) + means["token"]) // group
        cells = means["relative_v"].groupby([means["layer"], at]).mean()
        errors = np.full((int(means["layer"].max()) + 1, -(-tokens // group)), np.nan)
        errors[cells.index.get_level_values(0), cells.index.get_level_values(1)] = cells
        return cls(errors, tuple(float(start) / group - 0.5 for start in starts[1:-1]))


def grids_of(frame: pd.DataFrame, most_columns: int | None = None) -> dict[str, ErrorGrid]:
    """The grid of each workload, in the order in which they occur."""
    groups = frame.groupby("workload", observed=True, sort=False)
    return {str(name): ErrorGrid.of(part, most_columns) for name, part in groups}


def draw(frame: pd.DataFrame, costs: Sequence[LayerCost], file: Path | IO[bytes]) -> None:
    """Write the picture of an error map."""
    png.write(picture(frame, costs), file)


def picture(frame: pd.DataFrame, costs: Sequence[LayerCost]) -> Figure:
    """One panel for each workload on a common scale of colours, and one for the costs of the layers.

    Args:
        frame: see ``error_map.COLUMNS``.
    """
    grids = grids_of(frame)
    brightest = brightest_of({name: grid.errors for name, grid in grids.items()})
    with png.styled():
        figure = png.new_figure(WIDTH_INCHES, PANEL_INCHES * (len(grids) + 1))
        panels = figure.subplots(len(grids) + 1, 1, squeeze=False)[:, 0]
        for panel, (name, grid) in zip(panels, grids.items(), strict=False):
            image = draw_errors(panel, grid.errors, grid.borders, brightest)
            panel.set_title(name)
        figure.colorbar(image, ax=list(panels[:-1]), label="mean relative error of V", extend="max")
        draw_costs(
            panels[-1],
            layers=[cost.layer for cost in costs],
            means=[cost.mean for cost in costs],
            lows=[cost.lower for cost in costs],
            highs=[cost.upper for cost in costs],
        )
        panels[-1].set_title("what staleness in one layer alone costs, with 95 % intervals")
    return figure
