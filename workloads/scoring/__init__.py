"""Metrics by name: ``(prediction, accepted answers) -> score in 0..1``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from workloads.records import Answer
from workloads.scoring.exact_match import exact_match

Metric = Callable[[str, Sequence[str]], float]

METRICS: dict[str, Metric] = {
    "exact-match": exact_match,
}


def score(prediction: str, answer: Answer) -> float:
    """The score of ``prediction`` by the answer's own metric."""
    return METRICS[answer.metric](prediction, answer.accepted)
