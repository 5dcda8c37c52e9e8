"""Pages as pictures: a grid of square cells that each hold one word, read row by row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from workloads.pages.sentences import PUNCTUATION

CELL = 28  # pixels
SIDE = 15  # cells
CELLS = SIDE * SIDE
BLANK = ""  # the text of a blank cell
LETTERS = 4  # in each of a cell's lines
LINES = 3
LINE_HEIGHT = 9  # pixels, from the top of the tallest letter to the end of the longest tail
MARGIN = 2  # pixels left of the letters
ABOVE = 2  # rows that the font leaves empty above its letters


@dataclass(frozen=True)
class TextPage:
    """The cells of a page, row by row: words, punctuation marks, and ``BLANK``."""

    cells: tuple[str, ...]

    def __post_init__(self) -> None:
        """Let a page be full."""
        if len(self.cells) != CELLS:
            raise ValueError(f"a page has {CELLS} cells, not {len(self.cells)}")

    @property
    def content_share(self) -> float:
        """Share of the cells that are not blank."""
        return sum(cell != BLANK for cell in self.cells) / CELLS

    def pixels(self) -> NDArray[np.uint8]:
        """The page in grey, ``(SIDE * CELL, SIDE * CELL)``."""
        tiles = np.stack([draw_cell(cell) for cell in self.cells]).reshape(SIDE, SIDE, CELL, CELL)
        return tiles.transpose(0, 2, 1, 3).reshape(SIDE * CELL, SIDE * CELL)


@cache
def draw_cell(cell: str) -> NDArray[np.uint8]:
    """One cell in grey, ``(CELL, CELL)``, black on white: its letters in up to ``LINES`` lines.

    The font is Pillow's bitmap font, whose pixels no version of FreeType changes.

    Raises:
        ValueError: the text has more letters than fit.
    """
    if len(cell) > LETTERS * LINES:
        raise ValueError(f"'{cell}' has more than the {LETTERS * LINES} letters that a cell can hold")
    tile = Image.new("L", (CELL, CELL), 255)
    draw, font = ImageDraw.Draw(tile), ImageFont.load_default_imagefont()
    for line in range(LINES):
        text = cell[line * LETTERS : (line + 1) * LETTERS]
        draw.text((MARGIN, line * LINE_HEIGHT - ABOVE), text, font=font, fill=0)
    pixels = np.array(tile)
    pixels.setflags(write=False)
    return pixels


def token_text(cell: str) -> str:
    """What a cell stands for in running text: a word after a space, a bare punctuation mark; a blank ends a line."""
    if cell == BLANK:
        return "\n"
    return cell if cell in PUNCTUATION else f" {cell}"
