"""The judgement of a metric on one prediction: a score, and how far it is to be trusted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Judgement:
    """A score, and how far it is to be trusted.

    Attributes:
        score: 0..1, never a guess.
        parsed: whether the prediction could be read as an answer; otherwise the score is 0.
        official: 0..1, what the official scorer gives where that differs in kind, by guessing say; None elsewhere.
    """

    score: float
    parsed: bool = True
    official: float | None = None
