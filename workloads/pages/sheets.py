"""Sheets: sentences laid out on a page, more or less densely, and with a sentence that runs over from page to page."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from workloads.pages.cells import BLANK, CELLS, TextPage
from workloads.pages.sentences import FIRST, IDENTIFYING, TEMPLATES, Sentence, draw_sentence
from workloads.records import Media
from workloads.synthetic.drawing import encode_png

DENSITIES = (0.5, 0.75, 1.0)

Cells = tuple[str, ...]


@dataclass(frozen=True)
class Sheet:
    """What stands on one page, in reading order.

    Attributes:
        sentences: the whole sentences.
        density: share of the cells that hold text, as nearly as whole sentences allow.
        head: the end of a sentence that began on the page before; nothing where none runs over.
        tail: the beginning of a sentence that goes on on the next page, in the last cells.
        marks: for each sentence the place where it differs in the other version of the page; none without versions.
    """

    sentences: tuple[Sentence, ...]
    density: float
    head: Cells = ()
    tail: Cells = ()
    marks: tuple[int, ...] = ()

    def page(self) -> TextPage:
        """Lay out the sentences, each followed by as many blank cells as the density asks for.

        Raises:
            ValueError: there are more than fit.
        """
        cells: list[str] = []
        for run in (self.head, *(sentence.cells for sentence in self.sentences)):
            cells += [*run, *[BLANK] * blanks_after(len(run), self.density)]
        room = CELLS - len(self.tail)
        return TextPage((*cells, *[BLANK] * (room - len(cells)), *self.tail))

    def medium(self, name: str) -> Media:
        """The page as a file."""
        page = self.page()
        return Media("image", encode_png(page), f"{name}.png", page.content_share)


@dataclass
class SentenceSource:
    """Draws the sentences of a case: no two of them begin alike.

    Attributes:
        rng: where randomness comes from.
        taken: how the sentences drawn so far begin.
    """

    rng: np.random.Generator
    taken: set[Cells] = field(default_factory=set)

    def fill(self, density: float, reserved: int = 0) -> tuple[Sentence, ...]:
        """As many sentences as fit on a page with ``reserved`` cells in use, each from a template of its own."""
        sentences: list[Sentence] = []
        free = CELLS - reserved
        for index in self.rng.permutation(len(TEMPLATES)):
            length = len(TEMPLATES[index])
            needed = length + blanks_after(length, density)  # blanks of the last one, too: then they fit in any order
            if needed <= free:
                sentences.append(self.draw(TEMPLATES[index], {sentence.cells[:FIRST] for sentence in sentences}))
                free -= needed
        return tuple(sentences)

    def draw(self, template: Sequence[str], firsts: Collection[Cells] = ()) -> Sentence:
        """A sentence of a template that begins like none before, nor with any of ``firsts``."""
        while True:
            sentence = draw_sentence(self.rng, template)
            beginning = sentence.cells[:IDENTIFYING]
            if beginning not in self.taken and sentence.cells[:FIRST] not in firsts:
                self.taken.add(beginning)
                return sentence


def blanks_after(length: int, density: float) -> int:
    """Blank cells after so many with text, for the page to hold text in a share ``density`` of its cells."""
    return round(length * (1 / density - 1))
