"""`lm-eval:TASK`: a multimodal task of lm-eval, or a group of them, asked and scored as the task's own files say.

Prompt, pictures, reading of replies and score are the task's. Only its rows are read here, a window at a time, and its
answers are generated greedily, without examples. A reply ends where the task's `until` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from workloads.base import StreamOptions, WorkloadDefaults
from workloads.datasets.media import MediaFiles
from workloads.datasets.recurring_stream import Case, default_recurrence, recurring
from workloads.datasets.rows import Table, is_in_copy, windows
from workloads.datasets.sources import Sources, chosen
from workloads.errors import UsageError
from workloads.judgement import Judgement
from workloads.lm_eval.document import Document, documents_of, is_score, speaking_of
from workloads.lm_eval.files import TaskFile, find_tasks, require_askable
from workloads.records import Answer, Conversation, Recur, Turn
from workloads.scoring.official import officially
from workloads.seeding import stream

PREFIX = "lm-eval:"
WINDOW = 64  # rows read at once
RECUR: Recur = "prefix"  # where the user does not say: questions of these data sets seldom share pictures


@dataclass(frozen=True)
class LmEvalTasks:
    """A multimodal task of lm-eval, or a group of them of which --subjects chooses some, scored by the task itself."""

    name: str
    tasks: Mapping[str, TaskFile] = field(repr=False)
    sources: Sources
    left_out: tuple[str, ...] = ()

    @property
    def defaults(self) -> WorkloadDefaults:
        """See ``workloads.base.Workload``."""
        longest = max(task.max_new_tokens for task in self.tasks.values())
        defaults = default_recurrence(longest, self.sources.recur or RECUR)
        if not self.left_out:
            return defaults
        parts = len(self.tasks) + len(self.left_out)
        told = f"{len(self.tasks)} of {parts} subjects are in {self.sources.dataset_path}, and asked; missing: "
        return replace(defaults, left_out=f"{told}{', '.join(self.left_out)}; --subjects chooses among them")

    def conversations(self, options: StreamOptions) -> Iterator[Conversation]:
        """See ``workloads.base.Workload``."""
        taken: set[str] = set()
        parts = {name: partial(self._cases, name, options, taken) for name in self.tasks}
        return recurring(self.name, parts, WINDOW, self.sources.recur or RECUR, options)

    def answer(self, name: str, document: Document) -> Answer:
        """The answer key of a document of the task ``name``; the task judges, by its first score between 0 and 1."""
        if document.metric is None:
            raise UsageError(f"lm-eval's task {name} has no score between 0 and 1")
        return Answer(
            document.gold, f"{PREFIX}{name}:{document.metric}", scorer=partial(_judge, document, document.metric)
        )

    def case_id(self, name: str, document: Document) -> str:
        """What a document of the task called ``name`` is called."""
        return f"{name}-{document.id}"

    def _cases(self, name: str, options: StreamOptions, taken: set[str]) -> Iterator[Case]:
        task, folder = self.tasks[name], self.sources.dataset_path
        table = _table(task)
        files = MediaFiles(table, folder)
        rng = stream(options.split, self.name, options.seed, "rows", name)
        for window in windows(table, folder, WINDOW, rng):
            with speaking_of(f"lm-eval's task {name}"):
                documents = list(documents_of(task, window))
            for document in documents:
                case_id = _unique(self.case_id(name, document), taken)
                yield Case(case_id, partial(self._turns, case_id, name, document, files))

    def _turns(self, case_id: str, name: str, document: Document, files: MediaFiles) -> tuple[Turn, ...]:
        with speaking_of(f"lm-eval's task {name}, document {document.id}"):
            return (Turn(case_id, document.content(files), self.answer(name, document), name),)


def open_tasks(name: str, sources: Sources) -> LmEvalTasks:
    """The workload ``name``, such as ``lm-eval:chartqa``.

    Raises:
        UsageError: there is no such task, or it is not one that can be asked here.
    """
    tasks = chosen(find_tasks(name.removeprefix(PREFIX)), sources.subjects, name)
    for task, file in tasks.items():
        require_askable(task, file)
        if sources.dataset_path is None and file.unusual:
            raise UsageError(f"lm-eval's task {task} loads its data with {file.unusual}: give --dataset-path DIR")
    paths = sorted({str(file.get("dataset_path")) for file in tasks.values()})
    if sources.dataset_path is not None and len(paths) > 1:
        raise UsageError(f"--dataset-path cannot stand for {' and '.join(paths)} at once: name a single task")
    present, missing = in_copy(tasks, sources)
    return LmEvalTasks(name, present, sources, missing)


def in_copy(tasks: Mapping[str, TaskFile], sources: Sources) -> tuple[Mapping[str, TaskFile], tuple[str, ...]]:
    """The tasks whose rows a local copy has, and the names of the others.

    All tasks count as there without a copy, where the user names some, and where none is there: reading them tells why.
    """
    folder = sources.dataset_path
    if folder is None or sources.subjects:
        return tasks, ()
    present = {name: task for name, task in tasks.items() if is_in_copy(_table(task), folder)}
    return (present, tuple(sorted(tasks.keys() - present))) if present else (tasks, ())


def _table(task: TaskFile) -> Table:
    return Table(str(task.get("dataset_path")), task.split, task.get("dataset_name"), revision=task.revision)


def _judge(document: Document, metric: str, prediction: str, answer: Answer) -> Judgement:
    """The task's own score; what it gives no number for is worth nothing."""

    def score() -> float:
        with speaking_of(f"{answer.metric}, document {document.id}"):
            value: Any = document.score(prediction).get(metric)
        return float(value) if is_score(value) else 0.0

    return officially(score, answer.seed)


def _unique(name: str, taken: set[str]) -> str:
    """``name``, which is then taken, or else with a number."""
    unique, number = name, 0
    while unique in taken:
        number += 1
        unique = f"{name}-{number}"
    taken.add(unique)
    return unique
