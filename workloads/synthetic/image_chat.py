"""Conversations over several pictures that come back in later turns and in other conversations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from workloads.base import SYNTHETIC_DEFAULTS, StreamOptions, WorkloadDefaults
from workloads.records import Answer, Conversation, Media, Turn
from workloads.seeding import stream
from workloads.synthetic.album import PAGES, Album, bind_album, deal_pages
from workloads.synthetic.cards import DEFAULT_GRID, Cards, ask_count, ask_larger, ask_value
from workloads.synthetic.drawing import Grid
from workloads.synthetic.pool import RecurringPool
from workloads.synthetic.prose import SYSTEM, Question, opening

PICTURES_FIRST = 3
COUNT_RATE = 0.2  # share of counting questions where there is something to count


@dataclass(frozen=True)
class ImageChat:
    """Three turns: some pictures and a question, another picture and a question, a question.

    In the second turn the picture is sometimes one that was sent before. Questions look up and compare; one picture
    of an album carries marks to count.
    """

    name: str = "image-chat"
    metric: str = "exact-match"
    defaults: WorkloadDefaults = SYNTHETIC_DEFAULTS
    grid: Grid = DEFAULT_GRID

    def conversations(self, options: StreamOptions) -> Iterator[Conversation]:
        """See ``workloads.base.Workload``."""
        rng = stream(options.split, self.name, options.seed)

        def make(index: int) -> Album:
            album_rng = stream(options.split, self.name, options.seed, "album", index)
            return bind_album(f"album-{index}", deal_pages(album_rng, self.grid, PAGES, marked=1, tinted=True))

        pool = RecurringPool(make, options.reuse_rate, options.popularity)
        sent = number = 0
        while sent < options.samples:
            conversation = self._converse(rng, number, pool.draw(rng))
            turns = conversation.turns[: options.samples - sent]
            yield Conversation(conversation.id, conversation.cluster_id, conversation.system, turns)
            sent += len(turns)
            number += 1

    def _converse(self, rng: np.random.Generator, number: int, album: Album) -> Conversation:
        order = [int(i) for i in rng.permutation(PAGES)]
        first_shown = order[:PICTURES_FIRST]
        later = order[PICTURES_FIRST] if rng.random() < 0.8 else first_shown[0]
        steps: list[list[int]] = [first_shown, [later], []]
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


def ask_about(rng: np.random.Generator, cards: list[Cards]) -> Question:
    """A look-up, counting or comparing question over the pictures shown so far; counting needs the marked one."""
    marked = [page for page in cards if page.mark is not None]
    if marked and rng.random() < COUNT_RATE:
        return ask_count(rng, marked)
    return (ask_value, ask_larger)[rng.integers(2)](rng, cards)
