"""Questions over document pages that retrieval serves in other orders and subsets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workloads.base import ONE_COLD, StreamOptions, WorkloadDefaults
from workloads.records import Answer, Conversation, Turn
from workloads.seeding import stream
from workloads.synthetic.album import PAGES, Album, bind_album, deal_pages, displaced
from workloads.synthetic.cards import DEFAULT_GRID, Cards, ask_larger, ask_value
from workloads.synthetic.cases import Visit, visit_cases
from workloads.synthetic.drawing import Grid
from workloads.synthetic.prose import SYSTEM, Question, opening

FAMILIES = (ask_value, ask_larger)
WHOLE_RATE = 0.75  # share of requests that are served every page of their document


@dataclass(frozen=True)
class DocQA:
    """One question over three or four of a document's pages, in the order retrieval ranked them.

    Where every document has its own requests, the first one is served all pages, and in later ones no page stands
    behind what it stood behind then.
    """

    name: str = "doc-qa"
    metric: str = "exact-match"
    defaults: WorkloadDefaults = ONE_COLD
    grid: Grid = DEFAULT_GRID

    def conversations(self, options: StreamOptions) -> Iterator[Conversation]:
        """See ``workloads.base.Workload``."""
        rng = stream(options.split, self.name, options.seed)

        def make(index: int) -> Album:
            page_rng = stream(options.split, self.name, options.seed, "document", index)
            return bind_album(f"document-{index}", deal_pages(page_rng, self.grid, PAGES))

        arrange = _arrange_own if options.popularity == "own" else _arrange
        visits = visit_cases(make, 1, options, rng)
        for number, visit in zip(range(options.samples), visits, strict=False):
            document = visit.case
            served = arrange(rng, visit)
            question = ask_about(rng, [document.cards[page] for page in served])
            turn = Turn(
                id=f"{self.name}-{number}",
                content=(opening(rng), *(document.media[page] for page in served), question.text),
                answer=Answer((question.answer,), self.metric),
                family=question.family,
            )
            yield Conversation(turn.id, f"{self.name}/{document.id}", SYSTEM, (turn,))


def _arrange(rng: np.random.Generator, visit: Visit[Album]) -> NDArray[np.int64]:
    """The pages served, in order."""
    return _some_pages(rng, rng.permutation(PAGES))


def _arrange_own(rng: np.random.Generator, visit: Visit[Album]) -> NDArray[np.int64]:
    """The same of a document that has its own requests."""
    return np.arange(PAGES) if visit.number == 0 else _some_pages(rng, displaced(rng, PAGES))


def _some_pages(rng: np.random.Generator, ranked: NDArray[np.int64]) -> NDArray[np.int64]:
    """All of the pages, or all but the last one."""
    return ranked[: PAGES if rng.random() < WHOLE_RATE else PAGES - 1]


def ask_about(rng: np.random.Generator, cards: list[Cards]) -> Question:
    """A look-up or comparing question over the pages served."""
    return FAMILIES[rng.integers(len(FAMILIES))](rng, cards)
