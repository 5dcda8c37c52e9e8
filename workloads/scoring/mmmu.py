"""`mmmu`: MMMU's own parsers (MMMU-Benchmark/MMMU, `eval/utils`), as they come with lm-eval, but no guess counts."""

from __future__ import annotations

from typing import Any

from workloads.judgement import Judgement
from workloads.records import Answer
from workloads.scoring.official import officially, random_state_kept
from workloads.scoring.option_letter import read_letter


def mmmu(prediction: str, answer: Answer) -> Judgement:
    """1 if MMMU's parser reads the right option, or the open answer, in the reply; its guesses count as unread."""
    with random_state_kept():  # the module seeds it when it is loaded
        from lm_eval.tasks.mmmu.utils import process_results

    accepted = [read_letter(text, answer.choices) or text if answer.choices else text for text in answer.accepted]
    doc: dict[str, Any] = {
        "question_type": "multiple-choice" if answer.choices else "open",
        "options": repr(list(answer.choices)),
        "answer": accepted if len(accepted) > 1 else accepted[0],
    }
    return officially(lambda: float(process_results(doc, [prediction])["acc"]), answer.seed or str(doc))
