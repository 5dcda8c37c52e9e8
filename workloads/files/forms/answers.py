"""The answer key of a line: ``answer`` or ``answers``, ``choices`` and ``metric``, none of which has to be there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workloads.files.forms.line import Line
from workloads.reading import Text, brief_name, check
from workloads.records import Answer
from workloads.scoring.option_letter import LETTERED, MOST_CHOICES, read_letter

DEFAULT_METRIC = "exact-match"
OF_CHOICES = "option-letter"
MOST_NAMES = 8


def read_answer(line: Line, default_metric: str = DEFAULT_METRIC) -> Answer:
    """The key of the question that a line ends with; without accepted texts where the line has no answer.

    ``choices`` are for the scorer: what the model is to see of them stands in the question.
    """
    if line.answer is not None and line.answers is not None:
        raise ValueError("answer and answers are both given: keep one")
    given: list[tuple[str, str | dict[str, Any]]] = []
    if line.answer is not None:
        given.append(("answer", line.answer))
    given += [(f"answers[{index}]", value) for index, value in enumerate(line.answers or ())]
    accepted = tuple(_text(value, line.answer_member, where) for where, value in given)
    choices = line.choices or ()
    if len(choices) > MOST_CHOICES:
        raise ValueError(f"choices must be at most {MOST_CHOICES}, one for each letter")
    metric = line.metric or (OF_CHOICES if choices else default_metric)
    for value in accepted if metric == OF_CHOICES or (choices and metric in LETTERED) else ():
        if read_letter(value, choices) is None:
            raise ValueError(f"answer {value!r} must be the letter of an option, or the whole text of one in choices")
    return Answer(accepted, metric, choices)


def _text(value: str | Mapping[str, Any], member: str | None, where: str) -> str:
    """The text of an answer; of one with several members, that which counts."""
    if isinstance(value, str):
        return value
    if member is None:
        names = ", ".join(brief_name(name) for name in list(value)[:MOST_NAMES])
        raise ValueError(f"{where} has members ({names}): name the one that counts in answer_member")
    return check(value.get(member), Text, f"{where}.{brief_name(member)}")


def refuse_answer(line: Line, why: str) -> None:
    """ValueError when a line has an answer key in a form that has none, for the reason ``why``."""
    for name in ("answer", "answers", "answer_member", "choices"):
        if getattr(line, name) is not None:
            raise ValueError(f"{name} is not read: {why}; remove it")
