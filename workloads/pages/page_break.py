"""A sentence that goes on on the next page, whichever page comes next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workloads.pages.sentences import IDENTIFYING, PUNCTUATION, TEMPLATES, Sentence, draw_sentence, write
from workloads.pages.sheets import Cells, SentenceSource, Sheet, blanks_after
from workloads.pages.workload import Asked, Case, TextPages, shuffled

CONTINUED = 2  # words that are asked for


@dataclass(frozen=True)
class PageBreak(TextPages):
    """Two pages of text, and how the sentence goes on that the page break cuts in two."""

    name: str = "page-break"
    question: str = "How does the last sentence of the first page go on?"
    max_new_tokens: int = CONTINUED

    def deal(self, rng: np.random.Generator, density: float) -> Case:
        """See ``TextPages``. Two first pages end alike in kind, so that either of two last pages can follow."""
        source = SentenceSource(rng)
        template, cut = _draw_cut(rng)
        tails = [source.draw(TEMPLATES[template]).cells[:cut] for _ in range(2)]
        heads = _draw_heads(rng, template, cut)
        firsts = [Sheet(source.fill(density, len(tail)), density, tail=tail) for tail in tails]
        lasts = [
            Sheet(source.fill(density, len(head) + blanks_after(len(head), density)), density, head=head)
            for head in heads
        ]
        return Case((*firsts, *lasts), cold=((0, 2), (1, 3)), warm=shuffled(rng, ((0, 3), (1, 2))))

    def ask(self, rng: np.random.Generator, first: Sheet, last: Sheet) -> Asked:
        """See ``TextPages``."""
        return Asked(write(first.tail), last.head[:CONTINUED])


def _draw_cut(rng: np.random.Generator) -> tuple[int, int]:
    """A template, and how many of its cells stand before the break: a word follows that is not always the same."""
    while True:
        template = int(rng.integers(len(TEMPLATES)))
        parts = TEMPLATES[template]
        cuts = [
            place
            for place in range(IDENTIFYING, len(parts) - CONTINUED)
            if parts[place].startswith("{") and not set(parts[place : place + CONTINUED]) & set(PUNCTUATION)
        ]
        if cuts:
            return template, cuts[rng.integers(len(cuts))]


def _draw_heads(rng: np.random.Generator, template: int, cut: int) -> tuple[Cells, Cells]:
    """Two ends of a template's sentences that begin with different words."""
    one: Sentence = draw_sentence(rng, TEMPLATES[template])
    other = one.replaced(rng, one.slots(cut))
    return one.cells[cut:], other.cells[cut:]
