"""Conversations over several pictures that come back in later turns and in other conversations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from workloads.base import CARDS_RECUR, CaseSize, StreamOptions, WorkloadDefaults
from workloads.records import Answer, Conversation, Media, Turn
from workloads.seeding import stream
from workloads.synthetic.album import PAGES, Album, bind_album, deal_pages, displaced
from workloads.synthetic.cards import DEFAULT_GRID, Cards, ask_count, ask_larger, ask_value
from workloads.synthetic.cases import Visit, visit_cases
from workloads.synthetic.drawing import Grid
from workloads.synthetic.prose import SYSTEM, Question, opening

PICTURES_FIRST = 3
LATER_RATE = 0.8  # share of second turns whose picture was not sent in the first one
COUNT_RATE = 0.2  # share of counting questions where there is something to count
DEFAULT_CASE = CaseSize(cold=1, requests=3)
DEFAULTS = WorkloadDefaults(popularity="own", recurrence=CARDS_RECUR, case=DEFAULT_CASE, samples=36, follow_up=150)


@dataclass(frozen=True)
class ImageChat:
    """Three turns: some pictures and a question, another picture and a question, a question.

    In the second turn the picture is sometimes one that was sent before. Questions look up and compare; one picture
    of an album carries marks to count.

    Where every album has its own conversations, the first one is a turn with three pictures, and later ones bring them
    again in two turns: two of them, none behind what it stood behind at first, then mostly the third one.
    """

    name: str = "image-chat"
    metric: str = "exact-match"
    defaults: WorkloadDefaults = DEFAULTS
    grid: Grid = DEFAULT_GRID

    def conversations(self, options: StreamOptions) -> Iterator[Conversation]:
        """See ``workloads.base.Workload``."""
        rng = stream(options.split, self.name, options.seed)

        is_own = options.popularity == "own"
        pages, arrange = (PICTURES_FIRST, _arrange_own) if is_own else (PAGES, _arrange)

        def make(index: int) -> Album:
            album_rng = stream(options.split, self.name, options.seed, "album", index)
            return bind_album(f"album-{index}", deal_pages(album_rng, self.grid, pages, marked=1, tinted=True))

        visits = visit_cases(make, DEFAULT_CASE.cold, options, rng)
        sent = 0
        for number in count():
            if sent >= options.samples:
                return
            visit = next(visits)
            conversation = self._converse(rng, number, visit.case, arrange(rng, visit))
            turns = conversation.turns[: options.samples - sent]
            yield Conversation(conversation.id, conversation.cluster_id, conversation.system, turns)
            sent += len(turns)

    def _converse(
        self, rng: np.random.Generator, number: int, album: Album, steps: Sequence[Sequence[int]]
    ) -> Conversation:
        """A conversation whose turns bring the pictures of ``steps``."""
        turns: list[Turn] = []
        known: list[int] = []
        for index, arriving in enumerate(steps):
            known += [page for page in arriving if page not in known]
            question = ask_about(rng, [album.cards[page] for page in known])
            start: list[str | Media] = [opening(rng)] if index == 0 else []
            turns.append(
                Turn(
                    id=f"{self.name}-{number}-{index}",
                    content=(*start, *(album.media[page] for page in arriving), question.text),
                    answer=Answer((question.answer,), self.metric),
                    family=question.family,
                )
            )
        return Conversation(f"{self.name}-{number}", f"{self.name}/{album.id}", SYSTEM, tuple(turns))


def _arrange(rng: np.random.Generator, visit: Visit[Album]) -> list[list[int]]:
    """The pictures that each turn brings: all but one, that one or the first again, none."""
    order = [int(page) for page in rng.permutation(PAGES)]
    return [order[:PICTURES_FIRST], [_later(rng, order, PICTURES_FIRST)], []]


def _arrange_own(rng: np.random.Generator, visit: Visit[Album]) -> list[list[int]]:
    """The same for conversations about an album of ``PICTURES_FIRST`` pictures that no others are about."""
    if visit.number == 0:
        return [list(range(PICTURES_FIRST))]
    order = [int(page) for page in displaced(rng, PICTURES_FIRST)]
    return [order[:-1], [_later(rng, order, PICTURES_FIRST - 1)]]


def _later(rng: np.random.Generator, order: Sequence[int], sent: int) -> int:
    """The picture of the second turn."""
    return order[sent] if rng.random() < LATER_RATE else order[0]


def ask_about(rng: np.random.Generator, cards: list[Cards]) -> Question:
    """A look-up, counting or comparing question over the pictures shown so far; counting needs the marked one."""
    marked = [page for page in cards if page.mark is not None]
    if marked and rng.random() < COUNT_RATE:
        return ask_count(rng, marked)
    return (ask_value, ask_larger)[rng.integers(2)](rng, cards)
