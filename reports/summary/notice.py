"""A warning as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class NoticeKind(StrEnum):
    """What a warning is about."""

    FAILED_REQUESTS = "failed-requests"
    FALLBACKS = "fallbacks"
    NO_REUSE = "no-reuse"
    RANDOM_WEIGHTS = "random-weights"
    NO_GOLD = "no-gold"
    NO_IMAGE = "no-image"
    UNREADABLE_ANSWERS = "unreadable-answers"
    OFFICIAL_SCORE = "official-score"
    NOT_THE_BENCHMARKS = "not-the-benchmarks"
    NOISE_FLOOR = "noise-floor"
    BROKEN = "broken"
    FEW_SAMPLES = "few-samples"
    POPULARITY = "popularity"
    COLD_FIRST_RUN = "cold-first-run"
    DRIFTED_CLOCK = "drifted-clock"
    CONTENTION = "contention"
    INEXACT = "inexact"
    FALLING = "falling"
    UNCALIBRATED = "uncalibrated"
    UNLIKE = "unlike"
    SKIPPED = "skipped"
    BROKEN_PROMISE = "broken-promise"
    INVALID_STATE = "invalid-state"
    UNCHECKED_STATE = "unchecked-state"
    PARTIAL_KL = "partial-kl"
    CLIENT_BOUND = "client-bound"

    @property
    def style(self) -> str:
        """How a terminal shows it, in rich's words."""
        if self in SEVERE:
            return "red"
        return "" if self in FACTS else "yellow"


SEVERE = frozenset(
    (
        NoticeKind.FAILED_REQUESTS,
        NoticeKind.BROKEN,
        NoticeKind.BROKEN_PROMISE,
        NoticeKind.INVALID_STATE,
        NoticeKind.CLIENT_BOUND,
    )
)
"""Kinds that say that something is not as it should be."""

FACTS = frozenset(
    (
        NoticeKind.RANDOM_WEIGHTS,
        NoticeKind.NO_GOLD,
        NoticeKind.NO_IMAGE,
        NoticeKind.OFFICIAL_SCORE,
        NoticeKind.NOT_THE_BENCHMARKS,
    )
)
"""Kinds that say what a number is, and warn of nothing."""


@dataclass(frozen=True)
class Notice:
    """One warning.

    Attributes:
        runner: whom it concerns; None for the workload as a whole, or several runners that ``text`` names.
        text: what was seen, with its numbers.
        advice: what to do about it.
    """

    kind: NoticeKind
    workload: str
    runner: str | None
    text: str
    advice: str

    def __str__(self) -> str:
        return f"{self.text}; {self.advice}"
