"""Descriptions of data sets: what they may say, and what is said to those who err."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from workloads.datasets.description import DatasetFile, Fields, read_dataset_file
from workloads.errors import UsageError
from workloads.registry import DATASETS, dataset_names
from workloads.scoring import METRICS

PLAIN = """
description: Mine.
path: me/mine
split: test
fields: {images: image, question: question}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mine.yaml"


def test_what_is_not_said_is_usual(file: Path) -> None:
    file.write_text(PLAIN)
    expected = DatasetFile("Mine.", "me/mine", "test", Fields(images=("image",), question="question"))
    assert read_dataset_file(file) == expected


def test_everything_may_be_said(file: Path) -> None:
    file.write_text(
        """
description: Mine.
path: me/mine
split: test
revision: main
files: "{subject}/*.jsonl"
archives: [a.zip, b*.zip]
subjects: {one: {folder: x}, two: }
fields: {id: i, images: [a, b], videos: "{folder}/{v}.mp4", question: q, answers: a, choices: c, family: f}
prompt: "{media}{question} {options}"
option: "{letter}) {text}"
python_answers: true
placeholder: <here>
answer_member: answer
metric: option-letter
benchmark_score: what a person says
recur: shuffle
group: g
most_media: 3
window: 5
max_new_tokens: 7
"""
    )
    found = read_dataset_file(file)
    assert found.subjects == {"one": {"folder": "x"}, "two": {}}
    assert found.fields == Fields("i", ("a", "b"), ("{folder}/{v}.mp4",), "q", "a", "c", None, "f")
    assert (found.archives, found.metric, found.recur) == (("a.zip", "b*.zip"), "option-letter", "shuffle")
    assert (found.python_answers, found.most_media, found.window, found.max_new_tokens) == (True, 3, 5, 7)
    assert (found.answer_member, found.benchmark_score) == ("answer", "what a person says")


# lists of nine times the list before: written out, they would fill the memory of any machine
LAUGHS = ", ".join(f"&{name} [{', '.join([f'*{of}'] * 9)}]" for of, name in pairwise("abcdefghijk"))


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        ("metrik: anls", "unknown key 'metrik': did you mean 'metric'?"),
        ("metric: anl", "metric: unknown metric 'anl': did you mean 'anls'?"),
        ("fields: {images: image, questions: q}", "fields: unknown field 'questions': did you mean 'question'?"),
        ("fields: {images: [image, 3], question: q}", "fields.images[1] must be a text, not 3"),
        ("fields: [image]", "fields must map names to values, not ['image']"),
        ("fields: {question: q}", "fields must name images or videos"),
        ("fields: {images: image}", "fields must name a question or a talk, and not both"),
        ("fields: {images: i, question: q, talk: t}", "fields must name a question or a talk, and not both"),
        ("fields: {images: i, talk: t, answers: a}", "fields of a talk are neither answers nor choices: replies are"),
        ("files: rows.json\nsubjects: [a, b]", "files must name the {subject} if there are subjects, and only then"),
        ("files: '{subject}.json'", "files must name the {subject} if there are subjects, and only then"),
        ("metric: [anls]", "metric must be a text, not ['anls']"),
        (f"metric: {'[' * 9000}", "is not valid YAML: lists and mappings are nested too deeply"),
        (f"split: [&a x, {LAUGHS}]", "split must be a text, not ['x', ['x', 'x', 'x', 'x', 'x', 'x', ...], [["),
        ("prompt: '{question}'", "prompt must say where the media stand: {media}"),
        ("prompt: '{media}{options}'", "prompt must show the choices as {options} if fields name some, and only then"),
        ("path:", "path must be a text, not None"),
        ("window: 0", "window must be a whole number from 1 to 1000000, not 0"),
        ("max_new_tokens: true", "max_new_tokens must be a whole number from 1 to 1000000, not True"),
        ("python_answers: 1", "python_answers must be true or false, not 1"),
        ("recur: sometimes", "recur must be one of none, prefix, questions, shuffle, not 'sometimes'"),
        ("subjects: {}", "subjects must name at least one"),
        ("config: c\nsubjects: [a]", "config and subjects are both given: subjects are configurations"),
        ("split: [", "is not valid YAML: while parsing a flow node"),
    ],
)
def test_a_mistake_is_told_with_file_and_key(file: Path, change: str, mistake: str) -> None:
    keys = {line.partition(":")[0] for line in change.splitlines()}
    kept = [line for line in PLAIN.strip().splitlines() if line.partition(":")[0] not in keys]
    file.write_text("\n".join([*kept, change]))
    with pytest.raises(UsageError) as caught:
        read_dataset_file(file)
    assert str(caught.value).startswith(f"{file}{' ' if mistake.startswith('is not') else ': '}{mistake}")
    assert len(str(caught.value)) < len(str(file)) + 200
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["description", "path", "split", "fields"])
def test_what_is_needed_must_be_said(file: Path, missing: str) -> None:
    file.write_text("\n".join(line for line in PLAIN.splitlines() if not line.startswith(missing)))
    with pytest.raises(UsageError) as caught:
        read_dataset_file(file)
    assert str(caught.value) == f"{file}: {missing} is missing"


def test_a_file_that_is_not_there_is_told(file: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_dataset_file(file)
    assert str(caught.value) == f"cannot read {file}: No such file or directory"


@pytest.mark.parametrize("name", dataset_names())
def test_what_is_shipped_is_in_order(name: str) -> None:
    found = read_dataset_file(DATASETS / f"{name}.yaml")
    assert found.metric in METRICS
    assert found.path.count("/") == 1
    assert found.description.endswith(".")
    comment = (DATASETS / f"{name}.yaml").read_text("utf-8").split("description:")[0]
    assert found.path in comment.replace("\n# ", " ")


def test_the_data_sets_of_the_benchmarks_are_there() -> None:
    expected = {"docvqa", "infovqa", "chartqa", "textvqa", "mp-docvqa", "slidevqa", "mmdu", "mvbench", "video-mme"}
    assert set(dataset_names()) == expected
