"""`lm-eval:TASK`: a multimodal task of lm-eval, or a group of them, asked and scored as the task's own files say.

Prompt, pictures, reading of replies and score are the task's. Only its rows are read here, a window at a time, and its
answers are generated greedily, without examples. A reply ends where the task's `until` says.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from PIL import Image

from workloads.base import StreamOptions, Usual
from workloads.dataset_media import MediaFiles
from workloads.dataset_rows import Table, Window, reason, windows
from workloads.errors import UsageError
from workloads.lm_eval_files import TaskFile, find_tasks, require_askable
from workloads.records import Answer, Conversation, Media, Recur, Turn
from workloads.recur import Case, recurring, usual
from workloads.scoring.judgement import Judgement
from workloads.scoring.official import officially, random_state_kept
from workloads.seeding import stream
from workloads.sources import Sources, chosen

if TYPE_CHECKING:
    from lm_eval.api.task import ConfigurableTask

PREFIX = "lm-eval:"
PLACEHOLDER = "<image>"  # where lm-eval's hf-multimodal puts a picture
PNG_MODES = ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA")
WINDOW = 64  # rows read at once
RECUR: Recur = "prefix"  # where the user does not say: questions of these data sets seldom share pictures


@dataclass(frozen=True)
class Document:
    """A document of a task, in lm-eval's words: what is asked about one row of its data.

    Attributes:
        task: lm-eval's own, with a window of rows as its data set.
        index: of the document in it.
        id: its own, else the number of its row.
        metric: the first of the task's scores that lies between 0 and 1.
    """

    task: ConfigurableTask
    index: int
    id: str
    metric: str | None = None

    @property
    def fields(self) -> Mapping[str, Any]:
        """What the row says, pictures decoded."""
        fields: Mapping[str, Any] = self.task.task_docs[self.index]
        return fields

    @property
    def gold(self) -> tuple[str, ...]:
        """The target, in words."""
        fields = self.fields
        target = self.task.doc_to_target(fields)
        if isinstance(target, int) and self.task.config.doc_to_choice is not None:
            target = self.task.doc_to_choice(fields)[target]
        return tuple(map(str, target)) or ("",) if isinstance(target, list | tuple) else (str(target),)

    def content(self, files: MediaFiles) -> tuple[str | Media, ...]:
        """The task's prompt, each picture in the place where lm-eval's hf-multimodal puts it."""
        fields = self.fields
        shown = self.task.doc_to_image(fields)
        pictures = [picture for picture in (shown if isinstance(shown, list) else [shown]) if picture is not None]
        media = [_media(picture, f"{self.id}-{number}", files) for number, picture in enumerate(pictures)]
        return placed(self.task.fewshot_context(fields, 0), media)

    def score(self, reply: str) -> dict[str, Any]:
        """What the task makes of a reply: its metrics by name."""
        from lm_eval.api.instance import Instance

        until = (self.task.config.generation_kwargs or {}).get("until") or []
        for end in [until] if isinstance(until, str) else until:
            reply = reply.split(end)[0] if end else reply
        fields = self.fields
        request = Instance("generate_until", fields, ("", {}), 0)
        request.resps = [reply]
        (first, *_) = self.task._filters
        first.apply([request])
        scores: dict[str, Any] = self.task.process_results(fields, [request.filtered_resps[first.name]])
        return scores


@dataclass(frozen=True)
class LmEvalTasks:
    """A multimodal task of lm-eval, or a group of them of which --subjects chooses some, scored by the task itself."""

    name: str
    tasks: Mapping[str, TaskFile] = field(repr=False)
    sources: Sources
    metric: str = "lm-eval"

    @property
    def usual(self) -> Usual:
        """See ``workloads.base.Workload``."""
        longest = max(task.max_new_tokens for task in self.tasks.values())
        return usual(longest, self.sources.recur or RECUR)

    def conversations(self, options: StreamOptions) -> Iterator[Conversation]:
        """See ``workloads.base.Workload``."""
        parts = {name: partial(self._cases, name, options) for name in self.tasks}
        return recurring(self.name, parts, WINDOW, self.sources.recur or RECUR, options)

    def answer(self, name: str, document: Document) -> Answer:
        """The answer key of a document of the task ``name``; the task judges, by its first score between 0 and 1."""
        if document.metric is None:
            raise UsageError(f"lm-eval's task {name} has no score between 0 and 1")
        return Answer(
            document.gold, f"{PREFIX}{name}:{document.metric}", scorer=partial(_judge, document, document.metric)
        )

    def case_id(self, name: str, document: Document) -> str:
        """A name for a document of the task called ``name`` that no other document of the workload has."""
        return f"{name}-{document.id}"

    def _cases(self, name: str, options: StreamOptions) -> Iterator[Case]:
        task, folder = self.tasks[name], self.sources.dataset_path
        table = Table(str(task.get("dataset_path")), task.split, task.get("dataset_name"), revision=task.revision)
        files = MediaFiles(table, folder)
        rng = stream(options.split, self.name, options.seed, "rows", name)
        for window in windows(table, folder, WINDOW, rng):
            with _speaking_of(f"lm-eval's task {name}"):
                documents = list(_documents(task, window))
            for document in documents:
                case_id = self.case_id(name, document)
                yield Case(case_id, partial(self._turns, case_id, name, document, files))

    def _turns(self, case_id: str, name: str, document: Document, files: MediaFiles) -> tuple[Turn, ...]:
        with _speaking_of(f"lm-eval's task {name}, document {document.id}"):
            return (Turn(case_id, document.content(files), self.answer(name, document), name),)


@contextmanager
def _speaking_of(what: str) -> Iterator[None]:
    """Say what it is that a task's own functions cannot do: they raise anything for rows that they do not expect."""
    try:
        yield
    except UsageError:
        raise
    except Exception as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__} "
        raise UsageError(f"{what}: {kind}{reason(error)}") from error


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
    return LmEvalTasks(name, tasks, sources)


def _documents(file: TaskFile, window: Window) -> Iterator[Document]:
    """What lm-eval's own task asks about the rows of a window."""
    from datasets import Dataset
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks._yaml_loader import load_yaml

    class Task(ConfigurableTask):  # type: ignore[misc]  # lm-eval is not typed
        """The task, its rows given to it."""

        def download(self, *args: Any, **kwargs: Any) -> None:
            """Nothing is left to load."""
            self.dataset = {file.split: Dataset.from_list([row.fields for row in window.rows], window.features)}

    with random_state_kept():  # modules of tasks seed it when they are loaded
        config = {**load_yaml(file.file), **file.changes, "training_split": None, "fewshot_split": None}
        task = Task(config={key: value for key, value in config.items() if key not in ("tag", "group")})
    documents = task.task_docs
    ids = [str(name) for name in documents["id"]] if "id" in documents.column_names else []
    if len(set(ids)) < len(ids) or not ids:
        ids = [row.number for row in window.rows]
        if len(documents) != len(ids):  # the task leaves some out, or makes several of one
            ids = [f"{ids[0]}-{index}" for index in range(len(documents))]
    if not ids:
        return
    with random_state_kept():
        scores = (first := Document(task, 0, ids[0])).score(first.gold[0])
    metric = next((name for name, value in scores.items() if _is_score(value)), None)
    yield from (Document(task, index, name, metric) for index, name in enumerate(ids))


def placed(text: str, media: Sequence[Media]) -> tuple[str | Media, ...]:
    """``media`` in the places that ``text`` keeps for them, or before it if it keeps none."""
    texts = text.split(PLACEHOLDER)
    if len(texts) == 1:
        return (*media, text)
    if len(texts) != len(media) + 1:
        raise ValueError(f"there are places for {len(texts) - 1} pictures and {len(media)} of them")
    parts: list[str | Media] = [texts[0]]
    for medium, text_after in zip(media, texts[1:], strict=True):
        parts += [medium, text_after]
    return tuple(part for part in parts if part != "")


def _media(picture: Any, name: str, files: MediaFiles) -> Media:
    """A picture as lm-eval has it, losslessly."""
    if isinstance(picture, Image.Image):
        with io.BytesIO() as file:
            (picture if picture.mode in PNG_MODES else picture.convert("RGB")).save(file, "PNG")
            picture = file.getvalue()
    (medium,) = files.media(picture, "image", name)
    return medium


def _is_score(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 1


def _judge(document: Document, metric: str, prediction: str, answer: Answer) -> Judgement:
    """The task's own score; what it gives no number for is worth nothing."""

    def score() -> float:
        value: Any = document.score(prediction).get(metric)
        return float(value) if _is_score(value) else 0.0

    return officially(score, answer.seed)
