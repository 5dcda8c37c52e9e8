"""Relaxed accuracy of ChartQA (arXiv 2203.10244, section 5.1; google-research/pix2struct, ``metrics.py``).

Numbers are read as by the evaluations that models are reported with (mistralai/mistral-evals, lm-eval's ``chartqa``):
thousands separators, a dollar sign and punctuation at the end do not count, and ``5%`` may stand for 5 or for 0.05.
Texts are compared apart from case, quotes around them and punctuation at the end. Two things are left out: there, any
reply that begins with the right letter is a right answer to a question about a letter, and texts with a digit are
compared without commas and dollar signs.
"""

from __future__ import annotations

import math
import string

from workloads.judgement import Judgement
from workloads.records import Answer
from workloads.scoring.open_answer import best

TOLERANCE = 0.05
SMALLEST = 1e-10  # what a change is relative to where the gold number is 0
MINUS = {0x2212: "-"}  # as typeset
AFTER_A_NUMBER = string.punctuation.replace("%", "") + string.whitespace


def relaxed_accuracy(prediction: str, answer: Answer) -> Judgement:
    """1 if a number is within 5 % of an accepted one, or a text equal to one apart from case, else 0."""
    return best(prediction, lambda reply: float(any(_matches(reply, text) for text in answer.accepted)))


def _matches(reply: str, gold: str) -> bool:
    given, wanted = _number(reply), _number(gold)
    if given is None or wanted is None:
        return _text(reply) == _text(gold)
    (number, is_percent), (target, target_is_percent) = given, wanted
    return (
        _near(number, target)
        or (is_percent and _near(number / 100, target))
        or (target_is_percent and _near(number, target / 100))
    )


def _near(number: float, target: float) -> bool:
    return abs(number - target) / max(abs(target), SMALLEST) <= TOLERANCE


def _number(text: str) -> tuple[float, bool] | None:
    """The number that a text is, and whether a percent sign follows it."""
    plain = text.translate(MINUS).strip().rstrip(AFTER_A_NUMBER).replace(",", "").replace("$", "").strip()
    try:
        number = float(plain.rstrip("%"))
    except ValueError:
        return None
    return (number, plain.endswith("%")) if math.isfinite(number) else None


def _text(text: str) -> str:
    plain = text.strip()
    if len(plain) > 1 and plain[0] == plain[-1] and plain[0] in "\"'":
        plain = plain[1:-1]
    return plain.rstrip(string.punctuation).lower()
