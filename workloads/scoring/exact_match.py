"""Exact match after trimming white space, as in SQuAD's normalisation without its article and case rules."""

from __future__ import annotations

from workloads.judgement import Judgement
from workloads.records import Answer


def exact_match(prediction: str, answer: Answer) -> Judgement:
    """1 if the reply is one of the accepted texts, white space at the ends aside, else 0."""
    return Judgement(float(prediction.strip() in {text.strip() for text in answer.accepted}))
