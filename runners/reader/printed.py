"""The tokens that the reader can read in pictures: how each is printed in a cell of a page."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from PIL import Image

from workloads.pages.cells import BLANK, CELLS, TextPage, draw_cell, token_text
from workloads.pages.sentences import VOCABULARY


@dataclass(frozen=True)
class Printed:
    """Texts that stand for one token each, as cells of pages; no two look alike."""

    cells: tuple[str, ...] = (BLANK, *VOCABULARY)

    def __post_init__(self) -> None:
        """Let every cell look different."""
        seen: dict[bytes, str] = {}
        for cell in self.cells:
            other = seen.setdefault(draw_cell(cell).tobytes(), cell)
            if other != cell:
                raise ValueError(f"'{cell}' and '{other}' look alike on a page")

    def hash(self) -> str:
        """Hash what is printed and how it looks, pixel by pixel."""
        hasher = sha256()
        for cell in self.cells:
            hasher.update(token_text(cell).encode() + b"\x00" + draw_cell(cell).tobytes())
        return hasher.hexdigest()

    def pages(self) -> list[Image.Image]:
        """Print all cells in order, on as many pages as it takes; the last is filled up with blank cells."""
        starts = range(0, len(self.cells), CELLS)
        filled = (self.cells[start : start + CELLS] for start in starts)
        return [Image.fromarray(TextPage((*page, *[BLANK] * (CELLS - len(page)))).pixels()) for page in filled]

    def token_ids(self, tokenizer: Any) -> list[int]:
        """Find the token of each cell.

        Raises:
            ValueError: a text is more than one token, or two are the same one.
        """
        ids = [tokenizer.encode(token_text(cell), add_special_tokens=False) for cell in self.cells]
        if long := [cell for cell, found in zip(self.cells, ids, strict=True) if len(found) != 1]:
            raise ValueError(f"no single tokens of the reader: {', '.join(long)}")
        if len({number for (number,) in ids}) < len(ids):
            raise ValueError("two cells of the pages stand for the same token of the reader")
        return [number for (number,) in ids]
