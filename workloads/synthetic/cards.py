"""Pages of cards: a letter (the key) with a digit (its value) beside it, at random places on blank paper."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from workloads.synthetic.drawing import Color, Grid, Page, Place
from workloads.synthetic.prose import Question, ask

KEYS = string.ascii_letters
DIGITS = string.digits
MARKS = "#*+@&"
MOST_MARKS = 3
DEFAULT_GRID = Grid(12, 14)
CELLS_PER_CARD = 14  # glyph density stays the same whatever the size of a page


@dataclass(frozen=True)
class Cards:
    """A page, and what stands on it."""

    page: Page
    values: Mapping[str, str]
    mark: str | None = None
    mark_count: int = 0


def cards_on(grid: Grid) -> int:
    """How many cards a page of this size carries."""
    return max(2, round(grid.cells / CELLS_PER_CARD))


def draw_values(rng: np.random.Generator, keys: Sequence[str]) -> dict[str, str]:
    """A random digit for every key."""
    return {key: DIGITS[rng.integers(len(DIGITS))] for key in keys}


def deal(
    rng: np.random.Generator, grid: Grid, values: Mapping[str, str], mark: str | None = None, tinted: bool = False
) -> Cards:
    """Lay the cards out at random, and one to ``MOST_MARKS`` copies of ``mark`` where one is given."""
    slots = card_slots(rng, grid)
    chosen = rng.permutation(len(slots))[: len(values)]
    glyphs: dict[Place, str] = {}
    for (key, value), slot in zip(values.items(), chosen, strict=True):
        row, col = slots[slot]
        glyphs[row, col], glyphs[row, col + 1] = key, value
    count = 0
    if mark is not None:
        free = [(r, c) for r in range(grid.rows) for c in range(grid.cols) if (r, c) not in glyphs]
        chosen = rng.permutation(len(free))[: rng.integers(1, MOST_MARKS + 1)]
        glyphs |= {free[index]: mark for index in chosen}
        count = len(chosen)
    paper, ink = _colors(rng) if tinted else ((255, 255, 255), (0, 0, 0))
    return Cards(Page(grid, glyphs, paper, ink), dict(values), mark, count)


def ask_value(rng: np.random.Generator, cards: Sequence[Cards]) -> Question:
    """The value of one key of any page."""
    values = _merged(cards)
    key = _pick(rng, list(values))
    return ask("value", values[key], key)


def ask_larger(rng: np.random.Generator, cards: Sequence[Cards]) -> Question:
    """Which of two keys, of any pages, has the larger value; never a draw."""
    values = _merged(cards)
    keys = list(values)
    while True:
        first, second = (keys[i] for i in rng.permutation(len(keys))[:2])
        if values[first] != values[second]:
            return ask("larger", max(first, second, key=lambda key: values[key]), first, second)
        if len(set(values.values())) == 1:
            return ask_value(rng, cards)


def ask_count(rng: np.random.Generator, cards: Sequence[Cards]) -> Question:
    """How often one page's mark stands on it."""
    page = cards[int(rng.integers(len(cards)))]
    assert page.mark is not None, "only pages dealt with a mark can be asked for it"
    return ask("count", str(page.mark_count), page.mark)


def _merged(cards: Sequence[Cards]) -> dict[str, str]:
    return {key: value for page in cards for key, value in page.values.items()}


def _pick(rng: np.random.Generator, items: Sequence[str]) -> str:
    return items[int(rng.integers(len(items)))]


def card_slots(rng: np.random.Generator, grid: Grid) -> list[Place]:
    """Places where a two-cell card fits; every row starts at a random offset."""
    slots: list[Place] = []
    for row in range(grid.rows):
        offset = int(rng.integers(2)) if grid.cols > 2 else 0
        slots += [(row, col) for col in range(offset, grid.cols - 1, 2)]
    return slots


def _colors(rng: np.random.Generator) -> tuple[Color, Color]:
    """A light paper and a dark ink."""
    paper, ink = rng.integers(200, 256, 3), rng.integers(0, 80, 3)
    return (int(paper[0]), int(paper[1]), int(paper[2])), (int(ink[0]), int(ink[1]), int(ink[2]))
