"""Questions over document pages that retrieval serves in other orders and subsets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from workloads.base import SYNTHETIC_DEFAULTS, StreamOptions, WorkloadDefaults
from workloads.records import Answer, Conversation, Turn
from workloads.seeding import stream
from workloads.synthetic.album import PAGES, Album, bind_album, deal_pages
from workloads.synthetic.cards import DEFAULT_GRID, Cards, ask_larger, ask_value
from workloads.synthetic.drawing import Grid
from workloads.synthetic.pool import RecurringPool
from workloads.synthetic.prose import SYSTEM, Question, opening

FAMILIES = (ask_value, ask_larger)
WHOLE_RATE = 0.75  # share of requests that are served every page of their document


@dataclass(frozen=True)
class DocQA:
    """One question over three or four of a document's pages, in the order retrieval ranked them."""

    name: str = "doc-qa"
    metric: str = "exact-match"
    defaults: WorkloadDefaults = SYNTHETIC_DEFAULTS
    grid: Grid = DEFAULT_GRID

    def conversations(self, options: StreamOptions) -> Iterator[Conversation]:
        """See ``workloads.base.Workload``."""
        rng = stream(options.split, self.name, options.seed)

        def make(index: int) -> Album:
            page_rng = stream(options.split, self.name, options.seed, "document", index)
            return bind_album(f"document-{index}", deal_pages(page_rng, self.grid, PAGES))

        pool = RecurringPool(make, options.reuse_rate, options.popularity)
        for number in range(options.samples):
            document = pool.draw(rng)
            served = rng.permutation(PAGES)[: PAGES if rng.random() < WHOLE_RATE else PAGES - 1]
            question = ask_about(rng, [document.cards[page] for page in served])
            turn = Turn(
                id=f"{self.name}-{number}",
                content=(opening(rng), *(document.media[page] for page in served), question.text),
                answer=Answer((question.answer,), self.metric),
                family=question.family,
            )
            yield Conversation(turn.id, f"{self.name}/{document.id}", SYSTEM, (turn,))


def ask_about(rng: np.random.Generator, cards: list[Cards]) -> Question:
    """A look-up or comparing question over the pages served."""
    return FAMILIES[rng.integers(len(FAMILIES))](rng, cards)
