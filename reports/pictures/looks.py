"""Give every family of runners a colour and a marker of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from matplotlib.artist import Artist

from reports.sweep.pareto import Point

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")  # Okabe and Ito's, less yellow
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "p")  # coprime to the colours: 77 pairs


class Look(NamedTuple):
    """How a point is drawn; ``edge`` is the colour of its outline."""

    colour: str
    marker: str
    edge: str
    size: float = 6


class Mark(NamedTuple):
    """A point and the artist that stands for it."""

    artist: Artist
    point: Point


def looks_of(points: Iterable[Point]) -> dict[str, Look]:
    """A look for each family, in the order in which they occur."""
    families = dict.fromkeys(point.family for point in points)
    return {
        family: Look(colour := COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)], colour, 5)
        for place, family in enumerate(families)
    }
