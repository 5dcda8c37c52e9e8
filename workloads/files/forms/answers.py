"""The answer key of a line: ``answer`` or ``answers``, ``choices`` and ``metric``, none of which has to be there."""

from __future__ import annotations

from typing import Any

from workloads.errors import unknown_name
from workloads.files.forms.fields import text, texts, unicode
from workloads.records import Answer
from workloads.scoring import METRICS
from workloads.scoring.option_letter import LETTERED, MOST_CHOICES, read_letter

DEFAULT_METRIC = "exact-match"
OF_CHOICES = "option-letter"


def read_answer(data: dict[str, Any], default_metric: str = DEFAULT_METRIC) -> Answer:
    """The key of the question that a line ends with; without accepted texts where the line has no answer.

    ``choices`` are for the scorer: what the model is to see of them stands in the question.
    """
    accepted, choices = _accepted(data), _choices(data)
    metric = read_metric(data, OF_CHOICES if choices else default_metric)
    for value in accepted if metric == OF_CHOICES or (choices and metric in LETTERED) else ():
        if read_letter(value, choices) is None:
            raise ValueError(f"answer {value!r} must be the letter of an option, or the whole text of one in choices")
    return Answer(accepted, metric, choices)


def refuse_answer(data: dict[str, Any], why: str) -> None:
    """ValueError when a line has an answer key in a form that has none, for the reason ``why``."""
    for name in ("answer", "answers", "choices"):
        if data.get(name) is not None:
            raise ValueError(f"{name} is not read: {why}; remove it")


def read_metric(data: dict[str, Any], default: str) -> str:
    """The metric that a line names."""
    if data.get("metric") is None:
        return default
    name = text(data, "metric")
    if name not in METRICS:
        raise ValueError(f"metric: {unknown_name('metric', name, METRICS)}")
    return name


def _accepted(data: dict[str, Any]) -> tuple[str, ...]:
    names = [name for name in ("answer", "answers") if data.get(name) is not None]
    if len(names) == 2:
        raise ValueError("answer and answers are both given: keep one")
    if names == ["answers"]:
        return texts(data, "answers")
    if names == ["answer"]:
        value = data["answer"]
        if not isinstance(value, str) or not value.strip():
            raise ValueError("answer must be a text and not empty")
        return (unicode(value, "answer"),)
    return ()


def _choices(data: dict[str, Any]) -> tuple[str, ...]:
    if data.get("choices") is None:
        return ()
    choices = texts(data, "choices")
    if len(choices) > MOST_CHOICES:
        raise ValueError(f"choices must be at most {MOST_CHOICES}, one for each letter")
    return choices
