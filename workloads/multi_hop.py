"""Questions that take two pages one after the other: a key leads to another page's key, which has the value.

A family is a ledger: lists of the same keys with other values, and pages that link aliases to those keys. Which list
and which links stand together changes from request to request, so what a link leads to is another digit than before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from workloads.album import Album, bind_album
from workloads.base import StreamOptions
from workloads.cards import DEFAULT_GRID, KEYS, Cards, cards_on, deal, draw_values
from workloads.drawing import Grid
from workloads.prose import SYSTEM, Question, ask, opening
from workloads.records import Answer, Conversation, Turn
from workloads.recurrence import RecurringPool
from workloads.seeding import stream

VERSIONS = 3  # of every kind of page


@dataclass(frozen=True)
class Ledger:
    """Pages of a family; any links go with any list."""

    lists: tuple[Cards, ...]
    links: tuple[Cards, ...]
    distractors: tuple[Cards, ...]

    @property
    def pages(self) -> tuple[Cards, ...]:
        """All of them, kind by kind."""
        return (*self.lists, *self.links, *self.distractors)


@dataclass(frozen=True)
class MultiHop:
    """A distractor, a list, a page of links, and a question about one link's end."""

    name: str = "multi-hop"
    metric: str = "exact-match"
    grid: Grid = DEFAULT_GRID

    def conversations(self, options: StreamOptions) -> Iterator[Conversation]:
        """See ``workloads.base.Workload``."""
        rng = stream(options.split, self.name, options.seed)

        def make(index: int) -> Album:
            page_rng = stream(options.split, self.name, options.seed, "ledger", index)
            return bind_album(f"ledger-{index}", deal_ledger(page_rng, self.grid).pages)

        pool = RecurringPool(make, options.reuse_rate, options.popularity)
        for number in range(options.samples):
            ledger = pool.draw(rng)
            firsts = (2 * VERSIONS, 0, VERSIONS)  # of the distractors, the lists and the links
            distractor, listed, linked = (first + int(rng.integers(VERSIONS)) for first in firsts)
            question = ask_hop(rng, ledger.cards[listed].values, ledger.cards[linked].values)
            turn = Turn(
                id=f"{self.name}-{number}",
                content=(opening(rng), *(ledger.media[page] for page in (distractor, listed, linked)), question.text),
                answer=Answer((question.answer,), self.metric),
                family=question.family,
            )
            yield Conversation(turn.id, f"{self.name}/{ledger.id}", SYSTEM, (turn,))


def deal_ledger(rng: np.random.Generator, grid: Grid, per_page: int | None = None) -> Ledger:
    """Deal a family: every page laid out anew, values and links drawn anew for every version."""
    per_page = per_page or cards_on(grid)
    if 3 * per_page > len(KEYS):
        raise ValueError(f"a ledger of {per_page} cards a page needs more than the {len(KEYS)} keys there are")
    keys = [KEYS[i] for i in rng.permutation(len(KEYS))]
    listed, aliases, others = (keys[start * per_page : (start + 1) * per_page] for start in range(3))
    return Ledger(
        tuple(deal(rng, grid, draw_values(rng, listed)) for _ in range(VERSIONS)),
        tuple(deal(rng, grid, _links(rng, aliases, listed)) for _ in range(VERSIONS)),
        tuple(deal(rng, grid, draw_values(rng, others)) for _ in range(VERSIONS)),
    )


def ask_hop(rng: np.random.Generator, values: Mapping[str, str], links: Mapping[str, str]) -> Question:
    """The value of the key that one alias leads to."""
    alias = list(links)[rng.integers(len(links))]
    return ask("hop", values[links[alias]], alias)


def _links(rng: np.random.Generator, aliases: Sequence[str], targets: Sequence[str]) -> dict[str, str]:
    """Every alias with a target of its own."""
    return {alias: targets[target] for alias, target in zip(aliases, rng.permutation(len(targets)), strict=True)}
