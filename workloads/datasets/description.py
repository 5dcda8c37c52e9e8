r"""Read the description of a data set: a YAML file with its place, its fields, its prompt and its metric.

    description: Questions about scanned pages.
    path: lmms-lab/DocVQA       # on the hub, or a folder beside the file
    config: DocVQA              # the hub's name for a part of it
    split: validation
    fields:
      id: questionId
      images: image             # a field, several, or a path made of fields: "{folder}/{name}"
      question: question
      answers: answers
    prompt: "{media}{question}\nAnswer in one word."
    metric: anls                # see vlcache list metrics
    recur: questions            # how media come back, see vlcache bench --help
    group: docId                # the field that tells which rows are about the same media
    max_new_tokens: 32

Adding a data set is adding a file. The fields of ``DatasetFile`` and ``Fields`` are all that one may say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Interval

from workloads.datasets.within import inside
from workloads.errors import UsageError
from workloads.reading import Read, Text, Texts, keys, read_yaml
from workloads.reading.regular import read_bounded
from workloads.records import Recur
from workloads.scoring import MetricName

MEDIA = "media"
OPTIONS = "options"
SUBJECT = "subject"
MOST_BYTES = 2**20  # of a description
MOST_COUNTED = 1_000_000
NAME = re.compile(r"\{(\w+)\}")


def _subjects(given: tuple[str, ...] | dict[str, dict[str, Any] | None]) -> dict[str, dict[str, Any]]:
    if not given:
        raise ValueError("must name at least one")
    return {name: given[name] or {} for name in given} if isinstance(given, dict) else {name: {} for name in given}


def _all_inside(paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(inside, paths))


Inside = Annotated[str, Read(inside, Text)]
"""A path from the data set's folder down."""

Count = Annotated[int, Interval(ge=1, le=MOST_COUNTED)]
Subjects = Annotated[
    Mapping[str, Mapping[str, Any]], Read(_subjects, tuple[Text, ...] | dict[str, dict[str, Any] | None])
]


@keys(noun="field")
@dataclass(frozen=True)
class Fields:
    """Which fields of a row hold what; ``images`` and ``videos`` may be paths made of fields.

    Attributes:
        id: names the row; else its number does.
        question, answers, choices: of a single question. An answer may be the place of a choice.
        talk: a list of messages, ``from`` and ``value`` or ``role`` and ``content``, in place of them.
        family: the kind of question.
    """

    id: Text | None = None
    images: Texts = ()
    videos: Texts = ()
    question: Text | None = None
    answers: Text | None = None
    choices: Text | None = None
    talk: Text | None = None
    family: Text | None = None


@dataclass(frozen=True)
class DatasetFile:
    """What a file says of a data set.

    Attributes:
        description: one line for people.
        path: on the hub, or a folder beside the file.
        split, config, revision, files: see ``workloads.datasets.rows.Table``; ``files`` may name the ``{subject}``.
        archives: patterns of zip archives that hold media files.
        subjects: parts that are taken in turn, hub configurations where no ``files`` are given; and names that stand
            for something else in each of them.
        fields: of a row.
        prompt: ``{media}`` and ``{options}`` stand for these, other names in braces for fields.
        option: how a choice stands in the prompt.
        python_answers: answers are a list in the words of Python.
        answer_member: of answers that are mappings, as VQAv2's are, the member that counts.
        placeholder: where a medium of a talk stands.
        metric: how answers are scored.
        benchmark_score: how the benchmark itself scores them, in words, where that is something else.
        recur: how media come back where the user does not say.
        group: the field that rows about the same media share; else their media tell.
        most_media: rows with more are left out.
        window: rows read, and shuffled, at once; among them are the other questions about a medium.
        max_new_tokens: longest answer.
    """

    description: Text
    path: Inside
    split: Inside
    fields: Fields
    config: Inside | None = None
    revision: Inside | None = None
    files: Inside | None = None
    archives: Annotated[tuple[str, ...], Read(_all_inside, Texts)] = ()
    subjects: Subjects = field(default_factory=dict, hash=False)
    prompt: Text = "{media}{question}"
    option: Text = "{letter}. {text}"
    python_answers: bool = False
    answer_member: Text | None = None
    placeholder: Text = "<image>"
    metric: MetricName = "exact-match"
    benchmark_score: Text | None = None
    recur: Recur = "prefix"
    group: Text | None = None
    most_media: Count | None = None
    window: Count = 64
    max_new_tokens: Count = 64

    def __post_init__(self) -> None:
        _require_consistent(self)


def read_dataset_file(file: Traversable) -> DatasetFile:
    """Read and check a description.

    Raises:
        UsageError: the first mistake, with file and key.
    """
    data = read_bounded(file, MOST_BYTES, "data-set file") if isinstance(file, Path) else file.read_bytes()
    return read_yaml(data, DatasetFile, str(file))


def _require_consistent(dataset: DatasetFile) -> None:
    """UsageError when keys contradict each other."""
    fields = dataset.fields
    if not fields.images and not fields.videos:
        raise UsageError("fields must name images or videos")
    if (fields.question is None) == (fields.talk is None):
        raise UsageError("fields must name a question or a talk, and not both")
    if fields.talk is None and f"{{{MEDIA}}}" not in dataset.prompt:
        raise UsageError(f"prompt must say where the media stand: {{{MEDIA}}}")
    if (fields.choices is not None) != (f"{{{OPTIONS}}}" in dataset.prompt):
        raise UsageError(f"prompt must show the choices as {{{OPTIONS}}} if fields name some, and only then")
    if fields.talk is not None and (fields.choices is not None or fields.answers is not None):
        raise UsageError("fields of a talk are neither answers nor choices: replies are the answers")
    if dataset.files is not None and (f"{{{SUBJECT}}}" in dataset.files) != bool(dataset.subjects):
        raise UsageError(f"files must name the {{{SUBJECT}}} if there are subjects, and only then")
    if dataset.config is not None and dataset.subjects:
        raise UsageError("config and subjects are both given: subjects are configurations")
