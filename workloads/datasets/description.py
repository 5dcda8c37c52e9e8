r"""Data sets as data: a YAML file says where one lies, what its fields are, and how it is asked and scored.

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

Adding a data set is adding a file. ``READERS`` and ``FIELDS`` are all that one may say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from reprlib import repr as brief
from typing import Any, get_args

from workloads.errors import UsageError, unknown_name
from workloads.records import Recur
from workloads.scoring import METRICS

MEDIA = "media"
OPTIONS = "options"
SUBJECT = "subject"
NAME = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Fields:
    """Which fields of a row hold what; ``images`` and ``videos`` may be paths made of fields.

    Attributes:
        id: names the row; else its number does.
        question, answers, choices: of a single question. An answer may be the place of a choice.
        talk: a list of messages, ``from`` and ``value`` or ``role`` and ``content``, in place of them.
        family: the kind of question.
    """

    id: str | None = None
    images: tuple[str, ...] = ()
    videos: tuple[str, ...] = ()
    question: str | None = None
    answers: str | None = None
    choices: str | None = None
    talk: str | None = None
    family: str | None = None


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
        placeholder: where a medium of a talk stands.
        metric: how answers are scored.
        recur: how media come back where the user does not say.
        group: the field that rows about the same media share; else their media tell.
        most_media: rows with more are left out.
        window: rows read, and shuffled, at once; among them are the other questions about a medium.
        max_new_tokens: longest answer.
    """

    description: str
    path: str
    split: str
    fields: Fields
    config: str | None = None
    revision: str | None = None
    files: str | None = None
    archives: tuple[str, ...] = ()
    subjects: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
    prompt: str = "{media}{question}"
    option: str = "{letter}. {text}"
    python_answers: bool = False
    placeholder: str = "<image>"
    metric: str = "exact-match"
    recur: Recur = "prefix"
    group: str | None = None
    most_media: int | None = None
    window: int = 64
    max_new_tokens: int = 64


Reader = Callable[[Any], Any]
"""Raises ValueError with the end of a sentence that begins with the name of the key."""


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"must be a text, not {brief(value)}")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(item) for item in (value if isinstance(value, list) and value else [value]))


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"must be a whole number of at least 1, not {brief(value)}")
    return value


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {brief(value)}")
    return value


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not value or not all(isinstance(key, str) for key in value):
        raise ValueError(f"must map names to values, not {brief(value)}")
    return value


def _subjects(value: Any) -> Mapping[str, Mapping[str, Any]]:
    if isinstance(value, list):
        return {_text(name): {} for name in value}
    return {name: {} if names is None else _mapping(names) for name, names in _mapping(value).items()}


def _metric(value: Any) -> str:
    name = _text(value)
    if name not in METRICS:
        raise ValueError(f"is unknown: {unknown_name('metric', name, METRICS)}")
    return name


def _recur(value: Any) -> Recur:
    if value not in get_args(Recur):
        raise ValueError(f"must be one of {', '.join(get_args(Recur))}, not {brief(value)}")
    return value  # type: ignore[no-any-return]  # it is one of them


def _fields(value: Any) -> Fields:
    return Fields(**_read(_mapping(value), FIELDS, "field"))


FIELDS: Mapping[str, Reader] = {
    "id": _text,
    "images": _texts,
    "videos": _texts,
    "question": _text,
    "answers": _text,
    "choices": _text,
    "talk": _text,
    "family": _text,
}
READERS: Mapping[str, Reader] = {
    "description": _text,
    "path": _text,
    "split": _text,
    "fields": _fields,
    "config": _text,
    "revision": _text,
    "files": _text,
    "archives": _texts,
    "subjects": _subjects,
    "prompt": _text,
    "option": _text,
    "python_answers": _switch,
    "placeholder": _text,
    "metric": _metric,
    "recur": _recur,
    "group": _text,
    "most_media": _whole,
    "window": _whole,
    "max_new_tokens": _whole,
}
REQUIRED = ("description", "path", "split", "fields")


def read_dataset_file(file: Traversable) -> DatasetFile:
    """Read and check a description.

    Raises:
        UsageError: the first mistake, with file and key.
    """
    import yaml

    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
        found = _read(_mapping(data), READERS, "key")
        for name in REQUIRED:
            if name not in found:
                raise ValueError(f"{name} is missing")
        dataset = DatasetFile(**found)
        _require_consistent(dataset)
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    except RecursionError as error:
        raise UsageError(f"{file}: lists and mappings are nested too deeply") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{file}: {' '.join(str(error).split())}") from error
    return dataset


def _read(data: Mapping[str, Any], readers: Mapping[str, Reader], kind: str) -> dict[str, Any]:
    for name in data:
        if name not in readers:
            raise unknown_name(kind, name, readers)
    found = {}
    for name, value in data.items():
        try:
            found[name] = readers[name](value)
        except UsageError:
            raise
        except ValueError as error:
            raise ValueError(f"{name} {error}") from error
    return found


def _require_consistent(dataset: DatasetFile) -> None:
    fields = dataset.fields
    if not fields.images and not fields.videos:
        raise ValueError("fields must name images or videos")
    if (fields.question is None) == (fields.talk is None):
        raise ValueError("fields must name a question or a talk, and not both")
    if fields.talk is None and f"{{{MEDIA}}}" not in dataset.prompt:
        raise ValueError(f"prompt must say where the media stand: {{{MEDIA}}}")
    if (fields.choices is not None) != (f"{{{OPTIONS}}}" in dataset.prompt):
        raise ValueError(f"prompt must show the choices as {{{OPTIONS}}} if fields name some, and only then")
    if fields.talk is not None and (fields.choices is not None or fields.answers is not None):
        raise ValueError("fields of a talk are neither answers nor choices: replies are the answers")
    if dataset.files is not None and (f"{{{SUBJECT}}}" in dataset.files) != bool(dataset.subjects):
        raise ValueError(f"files must name the {{{SUBJECT}}} if there are subjects, and only then")
    if dataset.config is not None and dataset.subjects:
        raise ValueError("config and subjects are both given: subjects are configurations")
