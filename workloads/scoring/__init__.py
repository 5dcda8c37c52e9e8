"""Metrics by name, imported on look-up: each takes a prediction and an answer key, and gives a judgement."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Annotated

from workloads.errors import unknown_name
from workloads.judgement import Judgement
from workloads.reading import Read, Text
from workloads.records import Answer

Metric = Callable[[str, Answer], Judgement]

METRICS = {
    "exact-match": "workloads.scoring.exact_match:exact_match",
    "anls": "workloads.scoring.anls:anls",
    "f1": "workloads.scoring.f1:f1",
    "option-letter": "workloads.scoring.option_letter:option_letter",
    "relaxed-accuracy": "workloads.scoring.relaxed_accuracy:relaxed_accuracy",
    "vqa-accuracy": "workloads.scoring.vqa_accuracy:vqa_accuracy",
    "mmmu": "workloads.scoring.mmmu:mmmu",
}


def _known(name: str) -> str:
    if name not in METRICS:
        raise unknown_name("metric", name, METRICS)
    return name


MetricName = Annotated[str, Read(_known, Text)]
"""The name of a metric in a file; see ``workloads.reading``."""


def load_metric(name: str) -> Metric:
    """The metric called ``name``; KeyError when there is none."""
    module, attribute = METRICS[name].split(":")
    metric: Metric = getattr(import_module(module), attribute)
    return metric


def judge(prediction: str, answer: Answer) -> Judgement:
    """What ``prediction`` is worth by the answer's own scorer or metric. The answer has at least one accepted text."""
    return (answer.scorer or load_metric(answer.metric))(prediction, answer)
