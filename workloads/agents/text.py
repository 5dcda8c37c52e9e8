"""Screenshots of text, which the reader reads: sentences that stay, and one that is seen at one step alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from workloads.agents.session import Agent, AgentQuestion, Session, Step
from workloads.pages.quote import QUOTED, Quote, beginnings
from workloads.pages.sentences import TEMPLATES, Sentence, write
from workloads.pages.sheets import DENSITIES, SentenceSource, Sheet, blanks_after
from workloads.pages.versions import FIRST_MARK, Versions
from workloads.records import Media

DIFFERENCE_RATE = 0.75  # share of questions about the sentence that was revised, where one was
OLDEST = 3  # steps: a sentence is asked for that was typed in one of the last so many
TYPED_RATE = 0.7  # share of the other questions that are about a typed sentence
LONGEST = max(map(len, TEMPLATES))


@dataclass(frozen=True)
class Screen:
    """The sentences on one screenshot.

    Attributes:
        lasting: those of the whole session, some of them revised on the way.
        typed: that of this step, and of the steps after it that have no effect.
        revised: the number of the sentence that this step revised, and the word from which on; None for none.
    """

    lasting: tuple[Sentence, ...]
    typed: Sentence
    revised: tuple[int, int] | None


class TextSession(Session):
    """A session of screenshots of text."""

    def __init__(self, rng: np.random.Generator, name: str, steps: Sequence[Step]) -> None:
        density = DENSITIES[rng.integers(len(DENSITIES))]
        self.steps = steps
        self.screens = _draw_screens(rng, steps, density)
        files: dict[int, Media] = {}
        for screen in self.screens:
            if id(screen) not in files:
                sheet = Sheet((*screen.lasting, screen.typed), density)
                files[id(screen)] = sheet.medium(f"{name}/{len(files)}")
        self.screenshots = [files[id(screen)] for screen in self.screens]

    def ask(self, rng: np.random.Generator, first: int, last: int) -> AgentQuestion:
        """See ``Session``."""
        wants_difference, wants_typed = rng.random() < DIFFERENCE_RATE, rng.random() < TYPED_RATE
        window = self.screens[first : last + 1]
        revised = window[-1].revised
        if last > first and self.steps[last].changes and revised is not None and wants_difference:
            sentence, mark = window[-1].lasting[revised[0]], revised[1]
            begins, answer = sentence.cells[:mark], sentence.cells[mark : mark + QUOTED]
            return AgentQuestion("revised", Versions.question, write(answer), write(begins))
        if wants_typed:
            return _quote(rng, "typed", window[-1 - int(rng.integers(min(len(window), OLDEST)))].typed)
        stable = [
            sentence
            for place, sentence in enumerate(window[-1].lasting)
            if all(screen.lasting[place] == sentence for screen in window)
        ]
        return _quote(rng, "lasting", stable[rng.integers(len(stable))])


@dataclass(frozen=True)
class GuiAgentText(Agent):
    """The same with screenshots of text: how a sentence goes on that was revised, stays, or was seen two steps ago."""

    title: ClassVar[str] = "gui-agent-text"
    max_new_tokens: ClassVar[int] = QUOTED

    name: str = title

    def begin(self, rng: np.random.Generator, session: str, steps: Sequence[Step]) -> Session:
        """See ``Agent``."""
        return TextSession(rng, session, steps)


def _draw_screens(rng: np.random.Generator, steps: Sequence[Step], density: float) -> list[Screen]:
    source = SentenceSource(rng)
    lasting = source.fill(density, LONGEST + blanks_after(LONGEST, density))
    screens: list[Screen] = []
    for step in steps:
        if step.repeats:
            screens.append(screens[-1])
            continue
        revised = None
        if step.changes:
            place = int(rng.integers(len(lasting)))
            marks = [mark for mark in lasting[place].slots(FIRST_MARK) if mark + QUOTED <= len(lasting[place].cells)]
            mark = marks[rng.integers(len(marks))]
            changed = lasting[place].replaced(rng, [mark])
            lasting, revised = (*lasting[:place], changed, *lasting[place + 1 :]), (place, mark)
        screens.append(Screen(lasting, source.draw(TEMPLATES[rng.integers(len(TEMPLATES))]), revised))
    return screens


def _quote(rng: np.random.Generator, family: str, sentence: Sentence) -> AgentQuestion:
    ends = beginnings(sentence)
    end = ends[rng.integers(len(ends))]
    return AgentQuestion(family, Quote.question, write(sentence.cells[end : end + QUOTED]), write(sentence.cells[:end]))
