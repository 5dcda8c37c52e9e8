"""Screenshots of cards, which the built-in model reads: fields that stay, and some that are seen at one step alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from workloads.agents.session import Agent, AgentQuestion, Session, Step
from workloads.records import Media
from workloads.synthetic.binding import FAMILIES, another_digit
from workloads.synthetic.cards import DEFAULT_GRID, KEYS, card_slots, draw_values
from workloads.synthetic.drawing import Grid, Page, Place, encode_png
from workloads.synthetic.prose import NOTHING, ask

LASTING = 8  # fields of every screenshot of a session, each at its place
TYPED = 2  # fields that a step shows besides, and no other one
DIFFERENCE_RATE = 0.6  # share of questions about what changed, where something did
NOTHING_RATE = 0.15  # share of them where nothing did
OLDEST = 3  # steps: a field is asked for that was typed in one of the last so many
TYPED_RATE = 0.7  # share of the other questions that are about a typed field


@dataclass(frozen=True)
class Screen:
    """The fields on one screenshot, each a letter with a digit beside it.

    Attributes:
        lasting: those of the whole session.
        typed: those of this step, and of the steps after it that have no effect.
    """

    lasting: Mapping[str, str]
    typed: Mapping[str, str]


class CardSession(Session):
    """A session of screenshots of cards."""

    def __init__(self, rng: np.random.Generator, name: str, steps: Sequence[Step], grid: Grid) -> None:
        self.steps = steps
        self.screens = _draw_screens(rng, steps)
        slots = card_slots(rng, grid)
        order = [slots[slot] for slot in rng.permutation(len(slots))]
        files: dict[int, Media] = {}
        for screen in self.screens:
            if id(screen) not in files:
                page = _lay_out(screen, grid, order, len(files))
                number = f"{name}/{len(files)}.png"
                files[id(screen)] = Media("image", encode_png(page), number, page.content_share)
        self.screenshots = [files[id(screen)] for screen in self.screens]

    def ask(self, rng: np.random.Generator, first: int, last: int) -> AgentQuestion:
        """See ``Session``."""
        changes = self.changes_within(first, last)
        rate = DIFFERENCE_RATE if self.steps[last].changes else 0.0 if changes else NOTHING_RATE
        wants_difference, wants_typed = rng.random() < rate, rng.random() < TYPED_RATE
        if last > first and wants_difference:
            return self._ask_difference(rng, last)
        window = self.screens[first : last + 1]
        if wants_typed:
            typed = window[-1 - int(rng.integers(min(len(window), OLDEST)))].typed
            return _ask_value(rng, "typed", typed)
        stable = {
            key: value
            for key, value in window[-1].lasting.items()
            if all(screen.lasting[key] == value for screen in window)
        }
        return _ask_value(rng, "value", stable)

    def _ask_difference(self, rng: np.random.Generator, last: int) -> AgentQuestion:
        family = FAMILIES[rng.integers(len(FAMILIES))]
        old, new = self.screens[last - 1].lasting, self.screens[last].lasting
        answer = NOTHING
        for key in new:
            if old[key] != new[key]:
                answer = {"new": new[key], "old": old[key]}.get(family, key)
        question = ask(family, answer)
        return AgentQuestion(family, question.text, question.answer)


@dataclass(frozen=True)
class GuiAgent(Agent):
    """The last screenshots of an agent, one of them new at each step: what changed, what a field says, or said before.

    ``gui-agent@window=N`` shows N screenshots, 1 to 16, in place of 3. Neighbours are near-duplicates, and one in four
    equals the one before.
    """

    title: ClassVar[str] = "gui-agent"

    name: str = title
    grid: Grid = DEFAULT_GRID

    def begin(self, rng: np.random.Generator, session: str, steps: Sequence[Step]) -> Session:
        """See ``Agent``."""
        return CardSession(rng, session, steps, self.grid)


def _draw_screens(rng: np.random.Generator, steps: Sequence[Step]) -> list[Screen]:
    keys = [KEYS[i] for i in rng.permutation(len(KEYS))]
    lasting, fresh = draw_values(rng, keys[:LASTING]), iter(keys[LASTING:])
    screens: list[Screen] = []
    for step in steps:
        if step.repeats:
            screens.append(screens[-1])
            continue
        if step.changes:
            key = keys[rng.integers(LASTING)]
            lasting = {**lasting, key: another_digit(rng, lasting[key])}
        screens.append(Screen(lasting, draw_values(rng, [next(fresh) for _ in range(TYPED)])))
    return screens


def _lay_out(screen: Screen, grid: Grid, order: Sequence[Place], number: int) -> Page:
    """Every lasting field at its place, those typed at the next places that are free."""
    free = order[LASTING:]
    places = [*order[:LASTING], *(free[(number * TYPED + index) % len(free)] for index in range(TYPED))]
    glyphs: dict[Place, str] = {}
    for (key, value), (row, col) in zip([*screen.lasting.items(), *screen.typed.items()], places, strict=True):
        glyphs[row, col], glyphs[row, col + 1] = key, value
    return Page(grid, glyphs)


def _ask_value(rng: np.random.Generator, family: str, values: Mapping[str, str]) -> AgentQuestion:
    key = list(values)[rng.integers(len(values))]
    question = ask("value", values[key], key)
    return AgentQuestion(family, question.text, question.answer)
