"""Seeded pages and clips made of glyph cells, drawn with Pillow's built-in bitmap font.

A page is a grid of square cells; a cell is blank or holds one glyph. Cells are ``CELL`` pixels wide, so the
embedded model (patch 8, merge 2) sees one vision token per cell.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

CELL = 16
FRAMES_PER_MOMENT = 2  # the temporal patch of the Qwen-VL families
FRAME_MS = 500

Color = tuple[int, int, int]
Place = tuple[int, int]  # row, column


@dataclass(frozen=True)
class Grid:
    """The size of a page in cells."""

    rows: int
    cols: int

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return self.rows * self.cols


@dataclass(frozen=True)
class Page:
    """Glyphs on a grid. A glyph of two characters ``!x`` is ``x`` drawn light on dark."""

    grid: Grid
    glyphs: Mapping[Place, str]
    paper: Color = (255, 255, 255)
    ink: Color = (0, 0, 0)

    @property
    def content_share(self) -> float:
        """Share of the cells that hold a glyph."""
        return len(self.glyphs) / self.grid.cells

    def pixels(self) -> NDArray[np.uint8]:
        """The page as RGB, ``(rows * CELL, cols * CELL, 3)``."""
        height, width = self.grid.rows * CELL, self.grid.cols * CELL
        inked = np.zeros((height, width), dtype=bool)
        for (row, col), glyph in self.glyphs.items():
            inked[row * CELL : (row + 1) * CELL, col * CELL : (col + 1) * CELL] = _tile(glyph)
        return np.take(np.array([self.paper, self.ink], np.uint8), inked.view(np.uint8), axis=0)


class Drawing(Protocol):
    """What can be drawn."""

    def pixels(self) -> NDArray[np.uint8]:
        """Its pixels: RGB, ``(height, width, 3)``, or grey, ``(height, width)``."""
        ...


def encode_png(page: Drawing) -> bytes:
    """The page as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(page.pixels()).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def encode_clip(moments: Sequence[Page]) -> bytes:
    """The moments as an animated PNG, each shown for ``FRAMES_PER_MOMENT`` frames of ``FRAME_MS``.

    The repeated frame carries one invisible one-step difference in its corner, because PNG writers merge
    frames that are equal.
    """
    frames: list[Image.Image] = []
    for page in moments:
        for repeat in range(FRAMES_PER_MOMENT):
            pixels = page.pixels()
            pixels[-1, -1, 2] ^= repeat
            frames.append(Image.fromarray(pixels))
    buffer = io.BytesIO()
    frames[0].save(buffer, format="PNG", save_all=True, append_images=frames[1:], duration=FRAME_MS, compress_level=1)
    return buffer.getvalue()


@cache
def _tile(glyph: str) -> NDArray[np.bool_]:
    """The inked pixels of one cell, ``(CELL, CELL)``."""
    inverted = len(glyph) == 2 and glyph[0] == "!"
    font = ImageFont.load_default_imagefont()
    tile = Image.new("L", (CELL, CELL), 0)
    ImageDraw.Draw(tile).text((5, 2), glyph[-1], font=font, fill=255)
    inked = np.asarray(tile) > 127
    return ~inked if inverted else inked
