"""The stream that all agents share: at every step a screenshot is added and the oldest leaves the window."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Interval

from workloads.base import StreamOptions, WorkloadDefaults
from workloads.options import OPTION
from workloads.records import Answer, Conversation, Media, Turn
from workloads.seeding import stream
from workloads.synthetic.prose import SYSTEM, opening

DEFAULT_WINDOW = 3
LARGEST_WINDOW = 16
LATER_STEPS = 3  # requests of a session after its first one
REPEAT_RATE = 0.25  # share of steps without effect, whose screenshot equals the one before
CHANGE_RATE = 0.6  # share of steps that change a lasting part, where the window shows no other such change
SAMPLES = 64  # 16 sessions

Window = Annotated[int, Interval(ge=1, le=LARGEST_WINDOW)]


@dataclass(frozen=True)
class Step:
    """What one step of a session does to the screen.

    Attributes:
        repeats: nothing: its screenshot equals the one before.
        changes: it changes one of the lasting parts. Of the steps that a window shows at most one does.
    """

    repeats: bool = False
    changes: bool = False


@dataclass(frozen=True)
class AgentQuestion:
    """A question about the screenshots of a window.

    Attributes:
        begins: the beginning of the answer that is given with the request; nothing where none is.
    """

    family: str
    text: str
    answer: str
    begins: str = ""


class Session(ABC):
    """One session: its steps and their screenshots."""

    steps: Sequence[Step]
    screenshots: Sequence[Media]

    @abstractmethod
    def ask(self, rng: np.random.Generator, first: int, last: int) -> AgentQuestion:
        """A question about the screenshots of steps ``first`` to ``last``, the newest."""

    def changes_within(self, first: int, last: int) -> bool:
        """Whether a lasting part changes from one of these screenshots to another."""
        return any(step.changes for step in self.steps[first + 1 : last + 1])


@dataclass(frozen=True)
class Agent(ABC):
    """Sessions of an agent, one after the other, from the step at which the window is full.

    Attributes:
        window: screenshots in a request.
    """

    title: ClassVar[str]
    max_new_tokens: ClassVar[int] = 4

    name: str
    metric: str = "exact-match"
    window: Window = field(default=DEFAULT_WINDOW, metadata=OPTION)

    @property
    def defaults(self) -> WorkloadDefaults:
        """See ``workloads.base.Workload``."""
        return WorkloadDefaults(
            self.max_new_tokens,
            reuse_rate=LATER_STEPS / (LATER_STEPS + 1),
            popularity="own",
            recurrence=f"screenshots stay for {self.window} steps, and stand elsewhere at each",
            samples=SAMPLES,
            recurs_by="screenshots come back as the window slides on",
        )

    @abstractmethod
    def begin(self, rng: np.random.Generator, session: str, steps: Sequence[Step]) -> Session:
        """Draw a session of that name."""

    def conversations(self, options: StreamOptions) -> Iterator[Conversation]:
        """See ``workloads.base.Workload``. One request is one conversation: its history is no longer the one before."""
        sent = 0
        for index in count():
            rng = stream(options.split, self.title, options.seed, "session", index)
            session = self.begin(rng, f"session-{index}", draw_steps(rng, self.window + LATER_STEPS, self.window))
            task = opening(rng)
            for place in range(LATER_STEPS + 1):
                if sent == options.samples:
                    return
                asked = session.ask(rng, place, place + self.window - 1)
                turn = Turn(
                    id=f"{self.title}-{index}-{place}",
                    content=(task, *session.screenshots[place : place + self.window], asked.text),
                    answer=Answer((asked.answer,), self.metric),
                    family=asked.family,
                    answer_begins=asked.begins,
                )
                yield Conversation(turn.id, f"{self.title}/session-{index}", SYSTEM, (turn,))
                sent += 1


def draw_steps(rng: np.random.Generator, length: int, window: int) -> list[Step]:
    """The steps of a session; the first one neither repeats nor changes anything."""
    steps = [Step()]
    last_change = -window
    for place in range(1, length):
        repeats, changes = rng.random() < REPEAT_RATE, rng.random() < CHANGE_RATE
        changes = bool(changes and not repeats and place - last_change >= window - 1)
        last_change = place if changes else last_change
        steps.append(Step(bool(repeats), changes))
    return steps
