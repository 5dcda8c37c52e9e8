"""Collections of card pages whose keys never clash: the albums of image-chat, the documents of doc-qa."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from workloads.records import Media
from workloads.synthetic.cards import KEYS, MARKS, Cards, cards_on, deal, draw_values
from workloads.synthetic.drawing import Grid, encode_png

PAGES = 4


@dataclass(frozen=True)
class Album:
    """Pages that may stand together in one prompt, and the files they are sent as."""

    id: str
    cards: tuple[Cards, ...]
    media: tuple[Media, ...]


def deal_pages(
    rng: np.random.Generator,
    grid: Grid,
    pages: int,
    per_page: int | None = None,
    marked: int = 0,
    tinted: bool = False,
) -> list[Cards]:
    """``pages`` pages with disjoint keys, the first ``marked`` of them with a mark of their own."""
    per_page = per_page or cards_on(grid)
    if pages * per_page > len(KEYS):
        raise ValueError(f"{pages} pages of {per_page} cards need more than the {len(KEYS)} keys there are")
    keys = [KEYS[i] for i in rng.permutation(len(KEYS))]
    marks = [MARKS[i] for i in rng.permutation(len(MARKS))]
    return [
        deal(
            rng,
            grid,
            draw_values(rng, keys[index * per_page : (index + 1) * per_page]),
            mark=marks[index % len(marks)] if index < marked else None,
            tinted=tinted,
        )
        for index in range(pages)
    ]


def displaced(rng: np.random.Generator, pages: int) -> NDArray[np.int64]:
    """The numbers below ``pages`` (2 or more) in an order in which none follows what it followed in counting order."""
    while True:
        order = rng.permutation(pages)
        if all(after != before + 1 for before, after in pairwise([-1, *order])):
            return order


def bind_album(album_id: str, cards: Sequence[Cards]) -> Album:
    """Encode the pages as files."""
    media = tuple(
        Media("image", encode_png(card.page), f"{album_id}/{index}.png", card.page.content_share)
        for index, card in enumerate(cards)
    )
    return Album(album_id, tuple(cards), media)
