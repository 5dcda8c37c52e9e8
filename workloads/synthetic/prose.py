"""Texts around media: openings that differ from request to request, and questions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SYSTEM = "You are a helpful assistant."
OPENINGS = (
    "Look at this.",
    "Please read the pictures.",
    "Here is what came in.",
    "Some pictures for you.",
    "Take a careful look.",
    "This is the next case.",
)

QUESTION_FORMS = {
    "value": "Value of {0}",
    "count": "Count of {0}",
    "larger": "Larger of {0} or {1}",
    "changed": "What changed",
    "differs": "Which key differs",
    "new": "New value",
    "old": "Old value",
    "moved": "What moved",
    "moved-to": "Moved to",
    "when": "When seen {0}",
    "hop": "What value is {0}",
}
NOTHING = "none"


@dataclass(frozen=True)
class Question:
    """A question of one family, in words, and its answer."""

    family: str
    text: str
    answer: str


def ask(family: str, answer: str, *names: str) -> Question:
    """The question of ``family`` about ``names``."""
    return Question(family, QUESTION_FORMS[family].format(*names), answer)


def opening(rng: np.random.Generator, most: int = 1) -> str:
    """One to ``most`` notes with a number in them, so that equal prefixes are rare, as among real users."""
    return notes(rng, 1 if most == 1 else int(rng.integers(1, most + 1)))


def notes(rng: np.random.Generator, count: int) -> str:
    """``count`` notes with a number in them."""
    return " ".join(f"Note {rng.integers(1000, 10000)}. {OPENINGS[rng.integers(len(OPENINGS))]}" for _ in range(count))
