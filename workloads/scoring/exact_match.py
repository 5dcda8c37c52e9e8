"""Exact match after trimming white space, as in SQuAD's normalisation without its article and case rules."""

from __future__ import annotations

from workloads.judgement import Judgement
from workloads.records import Answer
from workloads.scoring.open_answer import best


def exact_match(prediction: str, answer: Answer) -> Judgement:
    """1 if the reply is one of the accepted texts, white space at the ends aside, else 0."""
    accepted = {text.strip() for text in answer.accepted}
    return best(prediction, lambda reply: float(reply.strip() in accepted))
