"""Make pictures and texts of given sizes in tokens."""

from __future__ import annotations

import math

import numpy as np

from workloads.records import Media
from workloads.synthetic.drawing import CELL, Grid, Page, encode_png

NARROWEST = 0.6  # height over width, at least
GLYPHS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
DENSITY = 1 / 7  # share of the cells that hold a glyph, as on cards


def grid_of(tokens: int) -> Grid:
    """The grid of about that many cells that is not too narrow: of those with the nearest number, the squarest."""
    best: tuple[int, float, Grid] | None = None
    for rows in range(max(1, math.floor(math.sqrt(tokens * NARROWEST))), math.isqrt(tokens) + 1):
        grid = Grid(rows, max(1, round(tokens / rows)))
        rank = (abs(grid.cells - tokens), grid.cols / rows, grid)
        best = rank if best is None or rank[:2] < best[:2] else best
    assert best is not None, "there is a grid of one row at least"
    return best[2]


def draw_picture(rng: np.random.Generator, tokens: int, pixels_per_token: int, name: str) -> Media:
    """A picture of glyphs of which a model makes about that many tokens."""
    grid = grid_of(tokens)
    places = rng.permutation(grid.cells)[: max(1, round(grid.cells * DENSITY))]
    glyphs = {divmod(int(place), grid.cols): GLYPHS[rng.integers(len(GLYPHS))] for place in places}
    page = Page(grid, glyphs)
    return Media("image", encode_png(Enlarged(page, pixels_per_token)), name, page.content_share)


class Enlarged:
    """A page whose cells have another size in pixels."""

    def __init__(self, page: Page, side: int) -> None:
        self._page, self._side = page, side

    def pixels(self) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        """RGB, ``(rows * side, cols * side, 3)``: each pixel is the nearest one of the page."""
        grid = self._page.grid
        rows, cols = (np.arange(count * self._side) * CELL // self._side for count in (grid.rows, grid.cols))
        enlarged: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] = self._page.pixels()[rows][:, cols]
        return enlarged


def write_text(rng: np.random.Generator, tokens: int) -> str:
    """Digits, each of which is a token of its own in the tokenizers of the Qwen, SmolLM2 and Llama 2 families."""
    return "".join(map(str, rng.integers(10, size=tokens)))
