"""Quotations from one of two pages: nothing on a page depends on the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workloads.pages.sentences import IDENTIFYING, PUNCTUATION, Sentence, write
from workloads.pages.sheets import SentenceSource, Sheet
from workloads.pages.workload import Asked, Case, TextPages, shuffled

LONGEST_BEGINNING = 7  # words of a sentence
QUOTED = 3  # words


@dataclass(frozen=True)
class Quote(TextPages):
    """Two pages of text, and a sentence of one of them to be quoted: its next three words."""

    name: str = "quote"
    question: str = "Quote a sentence from the pages."
    max_new_tokens: int = QUOTED

    def deal(self, rng: np.random.Generator, density: float) -> Case:
        """See ``TextPages``."""
        return unrelated_pages(rng, density)

    def ask(self, rng: np.random.Generator, first: Sheet, last: Sheet) -> Asked:
        """See ``TextPages``."""
        page = (first, last)[rng.integers(2)]
        sentence = page.sentences[rng.integers(len(page.sentences))]
        ends = beginnings(sentence)
        end = ends[rng.integers(len(ends))]
        return Asked(write(sentence.cells[:end]), sentence.cells[end : end + QUOTED])


def unrelated_pages(rng: np.random.Generator, density: float) -> Case:
    """A case of four pages without a common sentence, any of which may stand beside any other."""
    source = SentenceSource(rng)
    sheets = tuple(Sheet(source.fill(density), density) for _ in range(4))
    crossed = ((0, 2), (2, 0), (0, 3), (3, 0), (1, 2), (2, 1), (1, 3), (3, 1))
    return Case(sheets, cold=((0, 1), (2, 3)), warm=shuffled(rng, crossed))


def beginnings(sentence: Sentence) -> list[int]:
    """Lengths, in cells, of beginnings of 5 to 7 words that are followed by words enough."""
    ends = []
    for end in range(len(sentence.cells)):
        words = sum(cell not in PUNCTUATION for cell in sentence.cells[:end])
        quoted = sentence.cells[end : end + QUOTED]
        if IDENTIFYING <= words <= LONGEST_BEGINNING and not set(quoted) & set(PUNCTUATION):
            ends.append(end)
    return ends
