"""Draw which tokens of a picture were computed: one cell over it for each token, darker in more layers."""

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
        depth: in how many layers these were, in the mean; ``layers``: of how many.
        rows, columns: of the grid.
        frames: for each frame that is shown the outlines of its computed cells, from few layers to all: paths in units
            of cells, of the deepest class at the end; empty where all were computed alike.
        shown_frames: the numbers of these frames.
        of_frames: how many frames the grid has.
    """

    tokens: int
    computed: int
    depth: float
    layers: int
    rows: int
    columns: int
    frames: tuple[tuple[str, ...], ...]
    shown_frames: tuple[int, ...]
    of_frames: int

    @property
    def size(self) -> int:
        """About how many characters it takes in the page."""
        return sum(AROUND_A_FRAME + len(path) for frame in self.frames for path in frame)

    @property
    def share(self) -> float:
        """Computed tokens / all."""
        return self.computed / self.tokens

    @property
    def text(self) -> str:
        """What was computed, in words."""
        if self.computed == 0:
            return f"all {self.tokens} tokens reused"
        text = f"{self.computed} of {self.tokens} tokens computed ({self.share:.1%})"
        if self.computed == self.tokens:
            text = f"all {self.tokens} tokens computed"
        return text if self.depth >= self.layers else f"{text}, in {self.depth:.1f} of {self.layers} layers"


def overlay(medium: ComputedMedium, layers: int) -> Overlay | None:
    """The overlay of a medium in a model of so many layers; None where its record says nothing that can be believed."""
    try:
        depths = medium.depths()
    except ValueError:
        return None
    if not depths or not all(0 <= depth <= layers for depth in depths):
        return None
    computed = sum(depth > 0 for depth in depths)
    known = len(depths), computed, sum(depths) / max(computed, 1), layers
    cells = medium.frames * medium.rows * medium.columns
    fits = min(medium.frames, medium.rows, medium.columns) > 0 and cells == len(depths) <= MOST_CELLS
    if not fits:
        return Overlay(*known, 0, 0, (), (), 0)
    shown_frames = moments(medium.frames)
    area, uniform = medium.rows * medium.columns, len(set(depths)) == 1
    frames = [_paths(depths[frame * area : (frame + 1) * area], medium.columns, layers) for frame in shown_frames]
    drawn = () if uniform else tuple(frames)
    return Overlay(*known, medium.rows, medium.columns, drawn, tuple(shown_frames), medium.frames)


def _paths(depths: Sequence[int], columns: int, layers: int) -> tuple[str, ...]:
    """One path for each class of depth, its cells joined along rows."""
    paths = [""] * LEVELS
    for row in range(len(depths) // columns):
        column = 0
        for level, run in groupby(_level(depth, layers) for depth in depths[row * columns : (row + 1) * columns]):
            length = len(list(run))
            if level >= 0:
                paths[level] += f"M{column} {row}h{length}v1h-{length}z"
            column += length
    return tuple(paths)


def _level(depth: int, layers: int) -> int:
    """-1 where nothing was computed, else the class from 0 to ``LEVELS`` - 1."""
    return -(-depth * LEVELS // layers) - 1 if depth > 0 else -1
