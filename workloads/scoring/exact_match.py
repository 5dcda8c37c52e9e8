"""Exact match after trimming white space, as in SQuAD's normalisation without its article and case rules."""

from __future__ import annotations

from collections.abc import Sequence


def exact_match(prediction: str, accepted: Sequence[str]) -> float:
    """1.0 if ``prediction`` is one of ``accepted``, white space at the ends aside, else 0.0."""
    return float(prediction.strip() in {answer.strip() for answer in accepted})
