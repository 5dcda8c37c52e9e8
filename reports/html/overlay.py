"""Which tokens of a picture were computed, drawn over it: one cell for each token, darker in more layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from reports.html.thumbnails import moments
from runners.records import ComputedMedium

LEVELS = 3
AROUND_A_FRAME = 120  # characters of the elements that hold a path
MOST_CELLS = 200_000


@dataclass(frozen=True)
class Overlay:
    """What was computed of one medium.

    Attributes:
        tokens, computed: how many there are, and how many of them were computed in some layer.
        rows, columns: of the grid.
        frames: for each frame that is shown the outlines of its computed cells, from few layers to all: paths in units
            of cells, of the deepest class at the end; empty where everything was computed or nothing.
        shown: the numbers of these frames.
        of_frames: how many frames the grid has.
    """

    tokens: int
    computed: int
    rows: int
    columns: int
    frames: tuple[tuple[str, ...], ...]
    shown: tuple[int, ...]
    of_frames: int

    @property
    def size(self) -> int:
        """About how many characters it takes in the page."""
        return sum(AROUND_A_FRAME + len(path) for frame in self.frames for path in frame)

    @property
    def share(self) -> float:
        """Computed tokens / all."""
        return self.computed / self.tokens if self.tokens else 0.0


def overlay(medium: ComputedMedium) -> Overlay | None:
    """The overlay of a medium; None where its record says nothing that can be believed."""
    try:
        depths = medium.depths()
    except ValueError:
        return None
    computed = sum(depth > 0 for depth in depths)
    cells = medium.frames * medium.rows * medium.columns
    fits = min(medium.frames, medium.rows, medium.columns) > 0 and cells == len(depths) <= MOST_CELLS
    if not depths or not fits:
        return Overlay(len(depths), computed, 0, 0, (), (), 0) if depths else None
    shown = moments(medium.frames)
    area, deepest = medium.rows * medium.columns, max(depths)
    partly = 0 < computed < len(depths) or len(set(depths)) > 1
    frames = [_paths(depths[frame * area : (frame + 1) * area], medium.columns, deepest) for frame in shown]
    return Overlay(
        len(depths),
        computed,
        medium.rows,
        medium.columns,
        tuple(frames) if partly else (),
        tuple(shown),
        medium.frames,
    )


def _paths(depths: Sequence[int], columns: int, deepest: int) -> tuple[str, ...]:
    """One path for each class of depth, its cells joined along rows."""
    paths = [""] * LEVELS
    for row in range(len(depths) // columns):
        column = 0
        for level, run in groupby(_level(depth, deepest) for depth in depths[row * columns : (row + 1) * columns]):
            length = len(list(run))
            if level >= 0:
                paths[level] += f"M{column} {row}h{length}v1h-{length}z"
            column += length
    return tuple(paths)


def _level(depth: int, deepest: int) -> int:
    """-1 where nothing was computed, else the class from 0 to ``LEVELS`` - 1."""
    return -(-depth * LEVELS // deepest) - 1 if depth > 0 else -1
