"""Two versions of one page: the last one revises a word of every sentence of the first."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from workloads.pages.sheets import SentenceSource, Sheet
from workloads.pages.workload import Asked, Case, TextPages, ask_at_mark, case_of_versions

FIRST_MARK = 6  # cells before the earliest word that is replaced


@dataclass(frozen=True)
class Versions(TextPages):
    """Two versions of a page of text, one word of each sentence replaced, and which word the last page has."""

    name: str = "versions"
    question: str = "What does the last page say?"
    max_new_tokens: int = 1

    def deal(self, rng: np.random.Generator, density: float) -> Case:
        """See ``TextPages``."""
        source = SentenceSource(rng)
        return case_of_versions(rng, deal_versions(source, density), deal_versions(source, density))

    def ask(self, rng: np.random.Generator, first: Sheet, last: Sheet) -> Asked:
        """See ``TextPages``."""
        return ask_at_mark(rng, last, self.max_new_tokens)


def deal_versions(source: SentenceSource, density: float) -> tuple[Sheet, Sheet]:
    """A page and another version of it: one word of each sentence replaced, the sentences in another order."""
    rng, sentences = source.rng, source.fill(density)
    places = [sentence.slots(FIRST_MARK) for sentence in sentences]
    marks = [slots[rng.integers(len(slots))] for slots in places]
    revised = [sentence.replaced(rng, [mark]) for sentence, mark in zip(sentences, marks, strict=True)]
    order = reordered(rng, len(sentences))
    return (
        Sheet(sentences, density, marks=tuple(marks)),
        Sheet(tuple(revised[place] for place in order), density, marks=tuple(marks[place] for place in order)),
    )


def reordered(rng: np.random.Generator, count: int) -> list[int]:
    """The numbers below ``count`` in an order in which none follows the one before it."""
    while True:
        order = [int(place) for place in rng.permutation(count)]
        if all(after != before + 1 for before, after in pairwise(order)):
            return order
