"""The same clauses in different orders: what follows a clause depends on the page that is asked about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workloads.pages.cells import CELLS
from workloads.pages.sentences import CLAUSES, ENDINGS, FIRST, LINKS, Sentence, draw_sentence
from workloads.pages.sheets import SentenceSource, Sheet, blanks_after
from workloads.pages.versions import reordered
from workloads.pages.workload import Asked, Case, TextPages, ask_at_mark, case_of_versions

SLACK = 8  # cells: blanks are counted anew, and rounded, where a clause is followed by a shorter or longer one


@dataclass(frozen=True)
class Order(TextPages):
    """Two pages of text with the same clauses in different orders, and what follows a clause on the last one."""

    name: str = "order"
    question: str = "What does the last page say?"
    max_new_tokens: int = FIRST

    def deal(self, rng: np.random.Generator, density: float) -> Case:
        """See ``TextPages``."""
        source = SentenceSource(rng)
        return case_of_versions(rng, _deal_orders(source, density), _deal_orders(source, density))

    def ask(self, rng: np.random.Generator, first: Sheet, last: Sheet) -> Asked:
        """See ``TextPages``."""
        return ask_at_mark(rng, last, self.max_new_tokens)


def _deal_orders(source: SentenceSource, density: float) -> tuple[Sheet, Sheet]:
    """A page of clauses with their ends, and one with the same clauses before other ends, in another order."""
    rng = source.rng
    clauses: list[Sentence] = []
    endings: list[Sentence] = []
    free = CELLS - (SLACK if density < 1 else 0)
    links = rng.permutation(len(LINKS))  # no two sentences of a page have the same: it would be read as a repetition
    for index, link in zip(rng.permutation(len(CLAUSES)), links, strict=True):
        clause = source.draw([*CLAUSES[index], LINKS[link]])
        ending = _draw_ending(rng, {other.cells[0] for other in endings})
        length = len(clause.cells) + len(ending.cells)
        needed = length + blanks_after(length, density)
        if needed <= free:
            clauses.append(clause)
            endings.append(ending)
            free -= needed
    count = len(clauses)
    joined = [_join(clause, ending) for clause, ending in zip(clauses, endings, strict=True)]
    successors = reordered(rng, count)
    again = [_join(clauses[place], endings[(place + 1) % count]) for place in successors]
    return (
        Sheet(tuple(joined), density, marks=tuple(len(clause.cells) for clause in clauses)),
        Sheet(tuple(again), density, marks=tuple(len(clauses[place].cells) for place in successors)),
    )


def _draw_ending(rng: np.random.Generator, names: set[str]) -> Sentence:
    """An end of a sentence about somebody who is not among ``names``."""
    while True:
        ending = draw_sentence(rng, ENDINGS[rng.integers(len(ENDINGS))])
        if ending.cells[0] not in names:
            return ending


def _join(clause: Sentence, ending: Sentence) -> Sentence:
    return Sentence(clause.cells + ending.cells, clause.kinds + ending.kinds)
