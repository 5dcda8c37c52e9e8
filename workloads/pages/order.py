"""The same sentences in different orders: what follows a sentence depends on the page that is asked about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workloads.pages.sentences import FIRST, write
from workloads.pages.sheets import SentenceSource, Sheet
from workloads.pages.versions import reordered
from workloads.pages.workload import Asked, Case, TextPages, case_of_versions


@dataclass(frozen=True)
class Order(TextPages):
    """Two pages with the same sentences in different orders, and what follows a sentence on the last one."""

    name: str = "order"
    question: str = "What comes next on the last page?"
    max_new_tokens: int = FIRST

    def deal(self, rng: np.random.Generator, density: float) -> Case:
        """See ``TextPages``."""
        source = SentenceSource(rng)
        return case_of_versions(rng, _deal_orders(source, density), _deal_orders(source, density))

    def ask(self, rng: np.random.Generator, first: Sheet, last: Sheet) -> Asked:
        """See ``TextPages``."""
        chosen = int(rng.integers(len(last.sentences) - 1))
        return Asked(write(last.sentences[chosen].cells), last.sentences[chosen + 1].cells[:FIRST])


def _deal_orders(source: SentenceSource, density: float) -> tuple[Sheet, Sheet]:
    """A page, and the same sentences in an order in which none has the same successor."""
    sentences = source.fill(density)
    again = tuple(sentences[place] for place in reordered(source.rng, len(sentences)))
    return Sheet(sentences, density), Sheet(again, density)
