"""`mmmu`: MMMU (arXiv 2311.16502), through lm-eval's task files and scorer: 30 subjects from art to engineering."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from workloads.datasets.sources import Sources, chosen
from workloads.lm_eval.document import Document
from workloads.lm_eval.files import find_tasks
from workloads.lm_eval.task import LmEvalTasks, in_copy
from workloads.records import Answer

GROUP = "mmmu_val"


@dataclass(frozen=True)
class Mmmu(LmEvalTasks):
    """MMMU: college questions about pictures from 30 subjects, of which --subjects chooses some, through lm-eval."""

    metric: str = "mmmu"

    def answer(self, name: str, document: Document) -> Answer:
        """The option letter, or the open answer."""
        fields = document.fields
        choices = ast.literal_eval(fields["options"]) if fields["question_type"] == "multiple-choice" else ()
        return Answer((fields["answer"],), self.metric, tuple(choices))

    def case_id(self, name: str, document: Document) -> str:
        """MMMU's own, such as ``validation_Math_1``."""
        return document.id


def open_mmmu(sources: Sources) -> Mmmu:
    """MMMU, or some of its subjects; UsageError for one it does not have."""
    subjects = {str(file.get("dataset_name")): file for file in find_tasks(GROUP).values()}
    present, missing = in_copy(chosen(subjects, sources.subjects, "mmmu"), sources)
    return Mmmu("mmmu", present, sources, missing)
