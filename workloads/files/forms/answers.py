"""The answer key of a line: ``answer`` or ``answers``, ``choices`` and ``metric``, none of which has to be there."""

from __future__ import annotations

from workloads.files.forms.line import Line
from workloads.records import Answer
from workloads.scoring.option_letter import LETTERED, MOST_CHOICES, read_letter

DEFAULT_METRIC = "exact-match"
OF_CHOICES = "option-letter"


def read_answer(line: Line, default_metric: str = DEFAULT_METRIC) -> Answer:
    """The key of the question that a line ends with; without accepted texts where the line has no answer.

    ``choices`` are for the scorer: what the model is to see of them stands in the question.
    """
    if line.answer is not None and line.answers is not None:
        raise ValueError("answer and answers are both given: keep one")
    accepted = (line.answer,) if line.answer is not None else line.answers or ()
    choices = line.choices or ()
    if len(choices) > MOST_CHOICES:
        raise ValueError(f"choices must be at most {MOST_CHOICES}, one for each letter")
    metric = line.metric or (OF_CHOICES if choices else default_metric)
    for value in accepted if metric == OF_CHOICES or (choices and metric in LETTERED) else ():
        if read_letter(value, choices) is None:
            raise ValueError(f"answer {value!r} must be the letter of an option, or the whole text of one in choices")
    return Answer(accepted, metric, choices)


def refuse_answer(line: Line, why: str) -> None:
    """ValueError when a line has an answer key in a form that has none, for the reason ``why``."""
    for name in ("answer", "answers", "choices"):
        if getattr(line, name) is not None:
            raise ValueError(f"{name} is not read: {why}; remove it")
