"""Questions that only two pictures together can answer: what changed between them?

Here the vision tokens of the second picture depend on what stood before them, so reusing them blindly
gives wrong answers. A family of pictures is a square: four versions of one set of cards, of which neighbours
differ in exactly one value. A version met again is mostly compared with another neighbour than before, so
what changed is another key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from workloads.base import TWO_COLD, StreamOptions, WorkloadDefaults
from workloads.records import Answer, Conversation, Media, Turn
from workloads.seeding import stream
from workloads.synthetic.cards import DEFAULT_GRID, DIGITS, KEYS, Cards, cards_on, deal, draw_values
from workloads.synthetic.cases import visit_cases
from workloads.synthetic.drawing import Grid, encode_png
from workloads.synthetic.prose import NOTHING, SYSTEM, Question, ask, opening

VERSIONS = 4
DISTRACTORS = 2
SAME_TWICE_RATE = 0.1
SIDES = ((0, 1), (2, 3))  # of a square: the versions that first stand together
FAMILIES = ("changed", "differs", "new", "old")


@dataclass(frozen=True)
class Square:
    """Four versions of a page around a square, and pages with other keys to stand before them."""

    versions: tuple[Cards, ...]
    distractors: tuple[Cards, ...]


@dataclass(frozen=True)
class _Files:
    id: str
    square: Square
    versions: tuple[Media, ...]
    distractors: tuple[Media, ...]


@dataclass(frozen=True)
class Binding:
    """A distractor, two versions of a page, and a question about their difference.

    Where every square has its own requests, the first two show one side of it each, and later ones a version beside
    its neighbour of the other side.
    """

    name: str = "binding"
    metric: str = "exact-match"
    defaults: WorkloadDefaults = TWO_COLD
    grid: Grid = DEFAULT_GRID

    def conversations(self, options: StreamOptions) -> Iterator[Conversation]:
        """See ``workloads.base.Workload``."""
        rng = stream(options.split, self.name, options.seed)

        def make(index: int) -> _Files:
            page_rng = stream(options.split, self.name, options.seed, "square", index)
            return _encode(f"square-{index}", deal_square(page_rng, self.grid))

        visits = visit_cases(make, len(SIDES), options, rng)
        for number, visit in zip(range(options.samples), visits, strict=False):
            files = visit.case
            if options.popularity == "own" and visit.number < len(SIDES):
                (first, second), distracting = SIDES[visit.number], visit.number
            else:
                first = int(rng.integers(VERSIONS))
                if rng.random() < SAME_TWICE_RATE:
                    second = first
                else:
                    second = across(first) if options.popularity == "own" else neighbour(rng, first)
                distracting = int(rng.integers(DISTRACTORS))
            distractor = files.distractors[distracting]
            question = ask_difference(rng, files.square.versions[first].values, files.square.versions[second].values)
            turn = Turn(
                id=f"{self.name}-{number}",
                content=(opening(rng), distractor, files.versions[first], files.versions[second], question.text),
                answer=Answer((question.answer,), self.metric),
                family=question.family,
            )
            yield Conversation(turn.id, f"{self.name}/{files.id}", SYSTEM, (turn,))


def deal_square(rng: np.random.Generator, grid: Grid, per_page: int | None = None) -> Square:
    """Deal a family: every version lays its cards out anew; two keys take one of two values each."""
    per_page = per_page or cards_on(grid)
    keys = [KEYS[i] for i in rng.permutation(len(KEYS))]
    base = draw_values(rng, keys[:per_page])
    left, right = keys[0], keys[1]
    other = {key: another_digit(rng, base[key]) for key in (left, right)}
    versions = []
    for flipped in ((), (left,), (left, right), (right,)):
        order = [keys[i] for i in rng.permutation(per_page)]
        values = {key: other[key] if key in flipped else base[key] for key in order}
        versions.append(deal(rng, grid, values))
    distractors = [
        deal(rng, grid, draw_values(rng, keys[start : start + per_page]))
        for start in (per_page * (1 + index) for index in range(DISTRACTORS))
    ]
    return Square(tuple(versions), tuple(distractors))


def neighbour(rng: np.random.Generator, version: int) -> int:
    """One of the two versions that differ from ``version`` in one value."""
    return (version + (1 if rng.random() < 0.5 else -1)) % VERSIONS


def across(version: int) -> int:
    """The version that differs from ``version`` in one value and is not of its side."""
    return VERSIONS - 1 - version


def ask_difference(rng: np.random.Generator, first: Mapping[str, str], second: Mapping[str, str]) -> Question:
    """A question about the one value in which ``second`` differs from ``first``, if it does."""
    family = FAMILIES[rng.integers(len(FAMILIES))]
    changed = [key for key in second if first[key] != second[key]]
    if not changed:
        return ask(family, NOTHING)
    (key,) = changed
    return ask(family, {"new": second[key], "old": first[key]}.get(family, key))


def another_digit(rng: np.random.Generator, digit: str) -> str:
    """One of the other digits."""
    return DIGITS[(DIGITS.index(digit) + int(rng.integers(1, len(DIGITS)))) % len(DIGITS)]


def _encode(square_id: str, square: Square) -> _Files:
    def encode(cards: Cards, name: str) -> Media:
        return Media("image", encode_png(cards.page), f"{square_id}/{name}.png", cards.page.content_share)

    return _Files(
        square_id,
        square,
        tuple(encode(cards, f"version-{index}") for index, cards in enumerate(square.versions)),
        tuple(encode(cards, f"distractor-{index}") for index, cards in enumerate(square.distractors)),
    )
