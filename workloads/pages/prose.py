"""Open questions about pages, to which nobody knows the right answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workloads.pages.quote import unrelated_pages
from workloads.pages.sheets import Sheet
from workloads.pages.workload import NO_GOLD, Asked, Case, TextPages

BEGINS = "This text is about"


@dataclass(frozen=True)
class Prose(TextPages):
    """Two pages of text, and what they are about: no answer is known to be right, only whether it changes."""

    name: str = "prose"
    question: str = "What is this text about?"
    max_new_tokens: int = 4

    def deal(self, rng: np.random.Generator, density: float) -> Case:
        """See ``TextPages``."""
        return unrelated_pages(rng, density)

    def ask(self, rng: np.random.Generator, first: Sheet, last: Sheet) -> Asked:
        """See ``TextPages``."""
        return Asked(BEGINS, NO_GOLD)
