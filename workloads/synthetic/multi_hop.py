"""Questions that take two pages one after the other: a key leads to another page's key, which has the value.

A family is a ledger: lists of the same keys with other values, and pages that link aliases to those keys. Which list
and which links stand together changes from request to request, so what a link leads to is another digit than before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from workloads.base import TWO_COLD, StreamOptions, WorkloadDefaults
from workloads.records import Answer, Conversation, Turn
from workloads.seeding import stream
from workloads.synthetic.album import Album, bind_album
from workloads.synthetic.cards import DEFAULT_GRID, KEYS, Cards, cards_on, deal, draw_values
from workloads.synthetic.cases import Visit, visit_cases
from workloads.synthetic.drawing import Grid
from workloads.synthetic.prose import SYSTEM, Question, ask, opening

VERSIONS = 3  # of every kind of page
COLD = 2  # requests that show a ledger's first two versions of every kind, where it has its own requests

DEFAULTS = replace(TWO_COLD, follow_up=264)
"""Reuse may lose an answer here now and then: with so many cases a loss can still be bounded."""


@dataclass(frozen=True)
class Ledger:
    """Pages of a family; any links go with any list and any of the other lists."""

    lists: tuple[Cards, ...]
    links: tuple[Cards, ...]
    others: tuple[Cards, ...]

    @property
    def pages(self) -> tuple[Cards, ...]:
        """All of them, kind by kind."""
        return (*self.lists, *self.links, *self.others)


@dataclass(frozen=True)
class MultiHop:
    """Another list, a list, a page of links, and a question about one link's end.

    Where every ledger has its own requests, the first two show one version of every kind each, and in later ones the
    links stand behind the lists of the other request: those that they lead to.

    Attributes:
        links_to_both: whether links lead to both lists, or to the second one only.
    """

    name: str = "multi-hop"
    metric: str = "exact-match"
    defaults: WorkloadDefaults = DEFAULTS
    grid: Grid = DEFAULT_GRID
    links_to_both: bool = False

    def conversations(self, options: StreamOptions) -> Iterator[Conversation]:
        """See ``workloads.base.Workload``."""
        rng = stream(options.split, self.name, options.seed)

        is_own = options.popularity == "own"
        versions = COLD if is_own else VERSIONS

        def make(index: int) -> Album:
            page_rng = stream(options.split, self.name, options.seed, "ledger", index)
            ledger = deal_ledger(page_rng, self.grid, both=self.links_to_both, versions=versions)
            return bind_album(f"ledger-{index}", ledger.pages)

        visits = visit_cases(make, COLD, options, rng)
        for number, visit in zip(range(options.samples), visits, strict=False):
            ledger = visit.case
            if is_own:
                drawn: Iterable[int] = self._draw_own(rng, visit)
            else:
                drawn = (int(rng.integers(versions)) for _ in range(3))
            firsts = (2 * versions, 0, versions)  # of the others, the lists and the links
            other, listed, linked = (first + version for first, version in zip(firsts, drawn, strict=True))
            values = {**ledger.cards[other].values, **ledger.cards[listed].values}
            question = ask_hop(rng, values, ledger.cards[linked].values)
            turn = Turn(
                id=f"{self.name}-{number}",
                content=(opening(rng), *(ledger.media[page] for page in (other, listed, linked)), question.text),
                answer=Answer((question.answer,), self.metric),
                family=question.family,
            )
            yield Conversation(turn.id, f"{self.name}/{ledger.id}", SYSTEM, (turn,))

    def _draw_own(self, rng: np.random.Generator, visit: Visit[Album]) -> tuple[int, int, int]:
        """Versions of the other list, the list and the links."""
        if visit.number < COLD:
            return visit.number, visit.number, visit.number
        linked = int(rng.integers(COLD))
        listed = 1 - linked
        return (listed if self.links_to_both else linked), listed, linked


@dataclass(frozen=True)
class TwoLists(MultiHop):
    """Links that lead to either list: a family held out, no model was trained on it and no method tuned."""

    name: str = "two-lists"
    links_to_both: bool = True


def deal_ledger(
    rng: np.random.Generator, grid: Grid, per_page: int | None = None, both: bool = False, versions: int = VERSIONS
) -> Ledger:
    """Deal a family: every page laid out anew, values and links drawn anew for each of the ``versions``.

    The links lead to keys of the lists, or to those of ``both`` kinds of lists.
    """
    per_page = per_page or cards_on(grid)
    if 3 * per_page > len(KEYS):
        raise ValueError(f"a ledger of {per_page} cards a page needs more than the {len(KEYS)} keys there are")
    keys = [KEYS[i] for i in rng.permutation(len(KEYS))]
    listed, aliases, others = (keys[start * per_page : (start + 1) * per_page] for start in range(3))
    return Ledger(
        tuple(deal(rng, grid, draw_values(rng, listed)) for _ in range(versions)),
        tuple(deal(rng, grid, _links(rng, aliases, [*listed, *others] if both else listed)) for _ in range(versions)),
        tuple(deal(rng, grid, draw_values(rng, others)) for _ in range(versions)),
    )


def ask_hop(rng: np.random.Generator, values: Mapping[str, str], links: Mapping[str, str]) -> Question:
    """The value of the key that one alias leads to."""
    alias = list(links)[rng.integers(len(links))]
    return ask("hop", values[links[alias]], alias)


def _links(rng: np.random.Generator, aliases: Sequence[str], targets: Sequence[str]) -> dict[str, str]:
    """Every alias with a target of its own."""
    return {alias: targets[target] for alias, target in zip(aliases, rng.permutation(len(targets)), strict=False)}
