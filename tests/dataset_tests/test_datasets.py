"""Data sets that files describe, each read from rows in the layout that it has on the hub."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import Mock, call

import numpy as np
import pytest
from PIL import Image

from workloads.base import StreamOptions
from workloads.datasets.dataset import Dataset
from workloads.datasets.sources import Sources
from workloads.errors import UsageError
from workloads.records import Conversation, Media, Recur, Turn
from workloads.registry import open_workload
from workloads.scoring import judge

Write = Callable[..., Path]


def png(number: int) -> bytes:
    with io.BytesIO() as file:
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(file, "PNG")
        return file.getvalue()


def held(number: int) -> dict[str, Any]:
    """A picture as parquet files of the hub hold it."""
    return {"bytes": png(number), "path": f"{number}.png"}


def ask(
    name: str, folder: Path, samples: int = 99, recur: Recur = "none", subjects: tuple[str, ...] = ()
) -> list[Conversation]:
    workload = open_workload(name, Sources(folder, subjects, recur))
    return list(workload.conversations(StreamOptions(samples, 0, 0.5, popularity="even")))


def turns(*arguments: Any, **options: Any) -> dict[str, Turn]:
    return {turn.id: turn for conversation in ask(*arguments, **options) for turn in conversation.turns}


def shown(turn: Turn) -> list[str | bytes]:
    return [part.data if isinstance(part, Media) else part for part in turn.content]


SHORT = "\nAnswer the question using a single word or phrase."


def test_docvqa(write_parquet: Write) -> None:
    rows = [
        {
            "questionId": str(number),
            "question": f"What {number}?",
            "question_types": ["form", "table/list"],
            "docId": 7 + number // 2,
            "answers": [f"Total {number}", "sum"],
            "image": held(number // 2),
        }
        for number in range(6)
    ]
    folder = write_parquet("DocVQA/validation-00000-of-00001.parquet", rows, pictures=["image"]).parents[1]
    asked = turns("docvqa", folder)
    assert set(asked) == {str(number) for number in range(6)}
    assert shown(asked["3"]) == [png(1), f"What 3?{SHORT}"]
    assert asked["3"].family == "form, table/list"
    assert judge("total 3", asked["3"].answer).score == 1
    assert asked["2"].media[0] is asked["3"].media[0]
    conversations = ask("docvqa", folder, 6, "questions")
    assert len({conversation.cluster_id for conversation in conversations[:3]}) == 3
    assert {conversation.cluster_id for conversation in conversations} == {f"docvqa/docId/{n}" for n in (7, 8, 9)}
    assert [shown(c.turns[0])[-2] for c in conversations[3:]] != [shown(c.turns[0])[-2] for c in conversations[:3]]


def test_infovqa(write_parquet: Write) -> None:
    rows = [
        {"questionId": str(n), "question": f"Who {n}?", "answers": ["x"], "answer_type": [["single span"], []][n],
         "operation/reasoning": [], "image": held(0)}
        for n in range(2)
    ]  # fmt: skip
    folder = write_parquet("InfographicVQA/validation-00000-of-00001.parquet", rows, pictures=["image"]).parents[1]
    asked = turns("infovqa", folder)
    assert {name: turn.family for name, turn in asked.items()} == {"0": "single span", "1": ""}
    assert len({conversation.cluster_id for conversation in ask("infovqa", folder)}) == 1


def test_chartqa(write_parquet: Write) -> None:
    rows = [{"type": "human_test", "question": "How much?", "answer": "14.0", "image": held(0)}]
    folder = write_parquet("data/test-00000-of-00001.parquet", rows, pictures=["image"]).parents[1]
    (turn,) = turns("chartqa", folder).values()
    assert (turn.id, turn.family, shown(turn)) == ("0", "human_test", [png(0), f"How much?{SHORT}"])
    assert [judge(reply, turn.answer).score for reply in ("14.5", "15")] == [1, 0]


def test_textvqa(write_parquet: Write) -> None:
    rows = [
        {"image_id": "a", "question_id": 34602 + n, "question": "Brand?", "answers": ["nokia"] * 9 + ["x"],
         "image": held(0)}
        for n in range(2)
    ]  # fmt: skip
    folder = write_parquet("data/validation-00000-of-00001.parquet", rows, pictures=["image"]).parents[1]
    asked = turns("textvqa", folder)
    assert set(asked) == {"34602", "34603"}
    assert judge("Nokia", asked["34602"].answer).score == 1


PAGES = ("mp-docvqa", "image", "val", {"questionId": "5", "doc_id": "ffbf0023", "answers": "['Jan', 'Jan 1']"})
SLIDES = ("slidevqa", "page", "test", {"qa_id": 5, "answer": "Jan"})


@pytest.mark.parametrize(("name", "page", "split", "row"), [PAGES, SLIDES])
def test_documents_of_several_pages(
    write_parquet: Write, name: str, page: str, split: str, row: Mapping[str, Any]
) -> None:
    pages = {f"{page}_{number}": held(number) if number <= 3 else None for number in range(1, 21)}
    file = write_parquet(f"data/{split}-00000-of-00001.parquet", [{"question": "When?", **row, **pages}], list(pages))
    (turn,) = turns(name, file.parents[1]).values()
    assert turn.id == "5"
    assert shown(turn) == [png(1), png(2), png(3), f"When?{SHORT}"]
    assert judge("jan", turn.answer).score == 1


def test_mmdu(tmp_path: Path) -> None:
    talk = [
        {"from": "user", "value": "Image1: <ImageHere> Image2: <ImageHere>. What are they?"},
        {"from": "assistant", "value": "Two cats."},
        {"from": "user", "value": "And this, <ImageHere>?"},
        {"from": "assistant", "value": "A dog."},
    ]
    pictures = [f"/mmdu_pics/{number}.png" for number in range(3)]
    (tmp_path / "benchmark.json").write_text(json.dumps([{"id": 1, "image": pictures, "conversations": talk}]))
    with zipfile.ZipFile(tmp_path / "mmdu_pics.zip", "w") as archive:
        for number in range(3):
            archive.writestr(f"mmdu_pics/{number}.png", png(number))
    first, second = ask("mmdu", tmp_path, recur="prefix", samples=4)
    assert [turn.id for turn in first.turns] == ["0.0", "0.1"]
    assert shown(first.turns[0]) == ["Image1: ", png(0), " Image2: ", png(1), ". What are they?"]
    assert shown(first.turns[1]) == ["And this, ", png(2), "?"]
    assert [turn.answer.gold for turn in first.turns] == ["Two cats.", "A dog."]
    assert second.turns[0].content[1:] == first.turns[0].content
    assert second.turns[1].content == first.turns[1].content


def test_mvbench(tmp_path: Path) -> None:
    for task, folder in (("action_count", "perception/videos"), ("scene_transition", "scene_qa/video")):
        rows = [{"video": f"{n}.mp4", "question": "How?", "candidates": ["3", "4"], "answer": "4"} for n in range(2)]
        (tmp_path / "json").mkdir(exist_ok=True)
        (tmp_path / "json" / f"{task}.json").write_text(json.dumps(rows))
        (tmp_path / folder).mkdir(parents=True)
        for number in range(2):
            (tmp_path / folder / f"{number}.mp4").write_bytes(b"film")
    asked = turns("mvbench", tmp_path, subjects=("action_count", "scene_transition"))
    assert set(asked) == {f"{task}-{n}" for task in ("action_count", "scene_transition") for n in range(2)}
    turn = asked["action_count-1"]
    assert (turn.family, turn.media[0].kind, turn.media[0].data) == ("action_count", "video", b"film")
    assert turn.content[1] == (
        "Question:How?\nOption:\n(A) 3\n(B) 4\nAnswer with the option's letter from the given choices directly."
    )
    assert [judge(reply, turn.answer).score for reply in ("(B)", "A", "4")] == [1, 0, 1]


def test_video_mme(write_parquet: Write, tmp_path: Path) -> None:
    rows = [
        {"videoID": "x_1", "question_id": f"001-{n}", "duration": "short", "question": "Which?",
         "options": ["A. Apples.", "B. Candles.", "C. Berries.", "D. None."], "answer": "C"}
        for n in range(1, 4)
    ]  # fmt: skip
    write_parquet("videomme/test-00000-of-00001.parquet", rows)
    with zipfile.ZipFile(tmp_path / "videos_chunked_02.zip", "w") as archive:
        archive.writestr("data/x_1.mp4", b"film")
    zipfile.ZipFile(tmp_path / "videos_chunked_01.zip", "w").close()
    conversations = ask("video-mme", tmp_path, 3, "questions")
    assert {c.cluster_id for c in conversations} == {"video-mme/videoID/x_1"}
    turn = conversations[0].turns[0]
    assert turn.family == "short"
    assert shown(turn) == [
        b"film",
        "Which?\nA. Apples.\nB. Candles.\nC. Berries.\nD. None.\nAnswer the question with A, B, C, or D.",
    ]
    assert judge("C. Berries.", turn.answer).score == 1
    assert conversations[2].turns[0].media[0] is turn.media[0]


# data sets of the user's own

MINE = {"description": "Mine.", "path": "here", "split": "test", "fields": {"images": "image", "question": "question"}}


def describe(folder: Path, **changes: Any) -> str:
    """A file that describes rows in the folder ``here`` beside it; JSON is YAML."""
    file = folder / "mine.yaml"
    file.write_text(json.dumps(MINE | changes))
    return str(file)


def test_a_folder_beside_the_file_is_read_without_saying_where(write_lines: Write, tmp_path: Path) -> None:
    write_lines("here/test.jsonl", [{"image": "pictures/0.png", "question": "What?"}])
    (tmp_path / "here/pictures").mkdir()
    (tmp_path / "here/pictures/0.png").write_bytes(png(0))
    workload = open_workload(describe(tmp_path), Sources(recur="none"))
    assert workload.name == "mine.yaml"
    ((turn,),) = [conversation.turns for conversation in workload.conversations(StreamOptions(5))]
    assert shown(turn) == [png(0), "What?"]
    assert not turn.answer.has_gold


def test_a_folder_of_pictures_is_a_data_set(write_lines: Write, tmp_path: Path) -> None:
    write_lines("here/test/metadata.jsonl", [{"file_name": f"{n}.png", "question": f"Q{n}"} for n in range(3)])
    for number in range(3):
        (tmp_path / "here/test" / f"{number}.png").write_bytes(png(number))
    asked = turns(describe(tmp_path), tmp_path / "here")
    assert {turn.content[1]: turn.media[0].data for turn in asked.values()} == {f"Q{n}": png(n) for n in range(3)}


def test_videos_may_be_held_as_bytes_or_lie_beside_the_rows(write_parquet: Write, tmp_path: Path) -> None:
    fields = {"videos": "clip", "question": "question"}
    write_parquet("here/test.parquet", [{"clip": {"bytes": b"film", "path": None}, "question": "?"}], films=["clip"])
    (turn,) = turns(describe(tmp_path, fields=fields), tmp_path / "here").values()
    assert (turn.media[0].kind, turn.media[0].data) == ("video", b"film")


def test_videos_take_pyav(write_lines: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lines("here/test.jsonl", [{"clip": "a.mp4", "question": "?"}])
    (tmp_path / "here/a.mp4").write_bytes(b"\0\0\0\x20ftypisom")
    mine = describe(tmp_path, fields={"videos": "clip", "question": "question"})
    monkeypatch.setattr("workloads.datasets.media.find_spec", lambda name: None)
    with pytest.raises(UsageError) as caught:
        ask(mine, tmp_path / "here")
    assert str(caught.value) == "mine.yaml, row 0: videos take PyAV to read: pip install 'vlcache[video]'"
    monkeypatch.setattr("workloads.datasets.media.find_spec", lambda name: name)
    assert len(ask(mine, tmp_path / "here")) == 1


def test_rows_of_many_files_and_lists_of_pictures(write_parquet: Write, tmp_path: Path) -> None:
    for part in range(2):
        rows = [{"image": [held(part), held(9)][: 1 + n], "question": f"{part}{n}"} for n in range(2)]
        import datasets
        from datasets import Dataset, Features, List, Value

        features = Features({"image": List(datasets.Image()), "question": Value("string")})
        (tmp_path / "here").mkdir(exist_ok=True)
        Dataset.from_list(rows, features).to_parquet(tmp_path / "here" / f"test-0000{part}-of-00002.parquet")
    asked = turns(describe(tmp_path), tmp_path / "here")
    assert set(asked) == {"0-0", "0-1", "1-0", "1-1"}
    assert [len(asked[name].media) for name in ("1-0", "1-1")] == [1, 2]
    few = turns(describe(tmp_path, most_media=1), tmp_path / "here")
    assert set(few) == {"0-0", "1-0"}


@pytest.mark.parametrize(
    ("answers", "choices", "accepted"),
    [
        ("four", None, ("four",)),
        (4, None, ("4",)),
        (["four", "4"], None, ("four", "4")),
        (None, None, ()),
        ([], None, ()),
        (1, ["x", "y"], ("y",)),
        ("", None, ()),
        ("B", ["(A) x", "(B) y"], ("B",)),
        ("y", "['x', 'y']", ("y",)),
    ],
)
def test_answers_come_in_many_forms(
    write_lines: Write, tmp_path: Path, answers: Any, choices: Any, accepted: tuple[str, ...]
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here/0.png").write_bytes(png(0))
    fields = {"images": "image", "question": "question", "answers": "answers"}
    prompt = "{media}{question}"
    if choices is not None:
        fields, prompt = {**fields, "choices": "choices"}, prompt + "\n{options}"
    row = {"image": "0.png", "question": "How many?", "answers": answers, "choices": choices}
    write_lines("here/test.jsonl", [row])
    (turn,) = turns(describe(tmp_path, fields=fields, prompt=prompt), tmp_path / "here").values()
    assert turn.answer.accepted == accepted
    assert turn.answer.choices == (() if choices is None else ("x", "y"))
    assert str(turn.content[1]).endswith("How many?" if choices is None else "A. x\nB. y")


def _row(**changes: Any) -> dict[str, Any]:
    return {"image": "0.png", "question": "What?", "id": "a", "n": 27, **changes}


TALK = {"images": "image", "talk": "talk"}
CHOICES = {"images": "image", "question": "question", "choices": "choices"}
SHOWN: dict[str, Any] = {"fields": CHOICES, "prompt": "{media}{options}"}
LETTERS = SHOWN | {"fields": {**CHOICES, "answers": "n"}, "metric": "option-letter"}


@pytest.mark.parametrize(
    ("answers", "choices", "accepted"),
    [
        (0, ["B", "A"], ("A",)),
        (1, ["x", "x"], ("B",)),
        ("y", ["x", "y"], ("y",)),
        ("", ["x", "y"], ()),
        ("B", None, ("B",)),
    ],
)
def test_the_place_of_a_choice_is_its_letter(
    write_lines: Write, tmp_path: Path, answers: Any, choices: Any, accepted: tuple[str, ...]
) -> None:
    write_lines("here/test.jsonl", [_row(n=answers, choices=choices)])
    (tmp_path / "here/0.png").write_bytes(png(0))
    (turn,) = turns(describe(tmp_path, **LETTERS), tmp_path / "here").values()
    assert turn.answer.accepted == accepted


@pytest.mark.parametrize("name", ["test.jsonl", "test.json"])
def test_fields_of_several_types_are_read_as_they_are(tmp_path: Path, name: str) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here/0.png").write_bytes(png(0))
    rows = [json.dumps(_row(question=question)) for question in ("one", 2, "3")]
    (tmp_path / "here" / name).write_text("\n".join(rows) if name == "test.jsonl" else f"[{','.join(rows)}]")
    assert {turn.content[1] for turn in turns(describe(tmp_path), tmp_path / "here").values()} == {"one", "2", "3"}


def test_a_row_need_not_have_a_group_or_a_family(write_lines: Write, tmp_path: Path) -> None:
    write_lines("here/test.jsonl", [_row(doc=None, kind=None, image=f"{number}.png") for number in range(2)])
    for number in range(2):
        (tmp_path / f"here/{number}.png").write_bytes(png(number))
    mine = describe(tmp_path, group="doc", fields={"images": "image", "question": "question", "family": "kind"})
    conversations = ask(mine, tmp_path / "here", 2, "questions")
    assert len({conversation.cluster_id for conversation in conversations}) == 2
    assert {conversation.turns[0].family for conversation in conversations} == {"mine.yaml"}


@pytest.mark.parametrize(
    ("changes", "rows", "mistake"),
    [
        ({}, [_row(image="1.png")], "row 0: '1.png' cannot be read: there is no such file in the data set"),
        ({"archives": "*.zip"}, [_row(image="1.png")], "is no such file in the data set, nor is it in *.zip"),
        ({}, [_row(image="../secret.png")], "row 0: '../secret.png' cannot be read: it leads out of the data set"),
        ({}, [_row(image=3.5)], "row 0: '3.5' is no picture, video or path"),
        ({"prompt": "{media}{kestion}"}, [_row()], "row 0: unknown field 'kestion': did you mean 'question'?"),
        ({"group": "doc"}, [_row()], "row 0: unknown field 'doc': known: "),
        (
            {"fields": {**MINE["fields"], "id": "id"}},  # type: ignore[dict-item]
            [_row(), _row()],
            ": another row is called 'a': id is no id",
        ),
        (
            {"fields": TALK},
            [_row(talk=[{"role": "assistant", "content": "Hi."}])],
            "row 0: in its talk, user and assistant do not take turns",
        ),
        ({"fields": TALK}, [_row(talk=[])], "row 0: in its talk, user and assistant do not take turns"),
        ({"fields": TALK}, [_row(talk=[{"who": "me"}])], "row 0: \"{'who': 'me'}\" is no message of a user"),
        (
            {"fields": TALK},
            [_row(talk=[{"role": "user", "content": "<image> and <image>"}])],
            "row 0: it has 2 places for media, '<image>', and 1 media",
        ),
        (
            {"fields": CHOICES, "prompt": "{media}{options}"},
            [_row(choices=[str(n) for n in range(27)])],
            "row 0: it has 27 choices, and there are only 26 letters",
        ),
        (SHOWN, [_row(choices="[")], "row 0: '[' is no list in the words of Python"),
        (SHOWN, [_row(choices="{[]}")], "row 0: '{[]}' is no list in the words of Python"),
        (SHOWN, [_row(choices=5)], "row 0: its choices must be a list, not '5'"),
        (LETTERS, [_row(choices=["x", "y"], n=2)], "row 0: its answer 2 is no place among 2 choices, counted from 0"),
        (LETTERS, [_row(choices=["x", "y"], n=-1)], "row 0: its answer -1 is no place among 2 choices, counted from 0"),
        (LETTERS, [_row(choices=["x", "y"], n="z")], "row 0: its answer 'z' is neither the letter nor the text of one"),
        ({}, [_row(question=None)], "row 0: its question is empty"),
        ({}, [_row(question={"a": 1})], "row 0: \"{'a': 1}\" is neither a text nor a number"),
        ({"fields": TALK}, [_row(talk="hi")], "row 0: its talk must be a list, not 'hi'"),
        ({"fields": TALK}, [_row(talk=None)], "row 0: in its talk, user and assistant do not take turns"),
        (
            {"fields": TALK},
            [_row(talk=[{"role": who, "content": ""} for who in ("user", "assistant", "user")])],
            "row 0: in its talk, a message of the user is empty",
        ),
    ],
)
def test_what_is_wrong_with_a_row_is_told(
    write_lines: Write, tmp_path: Path, changes: dict[str, Any], rows: Sequence[Mapping[str, Any]], mistake: str
) -> None:
    write_lines("here/test.jsonl", rows)
    (tmp_path / "here/0.png").write_bytes(png(0))
    (tmp_path / "secret.png").write_bytes(png(1))
    with pytest.raises(UsageError) as caught:
        ask(describe(tmp_path, **changes), tmp_path / "here")
    assert str(caught.value).startswith("mine.yaml, row ")
    assert mistake in str(caught.value)
    assert "\n" not in str(caught.value)


def test_links_lead_nowhere_out_of_the_data_set(write_lines: Write, tmp_path: Path) -> None:
    write_lines("here/test.jsonl", [{"image": "link.png", "question": "?"}])
    (tmp_path / "secret.png").write_bytes(png(1))
    (tmp_path / "here/link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(UsageError, match=r"'link\.png' cannot be read: it leads out of the data set"):
        ask(describe(tmp_path), tmp_path / "here")


def test_links_into_the_cache_of_the_hub_are_followed(write_lines: Write, tmp_path: Path) -> None:
    folder = tmp_path / "snapshots" / "abc"
    write_lines("snapshots/abc/test.jsonl", [{"image": "link.png", "question": "?"}])
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "123").write_bytes(png(1))
    (folder / "link.png").symlink_to("../../blobs/123")
    (turn,) = turns(describe(tmp_path), folder).values()
    assert turn.media[0].data == png(1)


def test_broken_rows_and_archives_are_told(write_lines: Write, tmp_path: Path) -> None:
    write_lines("here/test.jsonl", [{"image": "0.png", "question": "?"}])
    (tmp_path / "here/some.zip").write_bytes(b"no archive")
    with pytest.raises(UsageError, match=r"'0\.png' cannot be read: File is not a zip file"):
        ask(describe(tmp_path, archives="some.zip"), tmp_path / "here")
    (tmp_path / "here/test.jsonl").write_text('{"image": \n')
    with pytest.raises(UsageError, match=f"test in {tmp_path}/here cannot be read: JSON parse error"):
        ask(describe(tmp_path), tmp_path / "here")


@pytest.mark.parametrize(
    ("changes", "mistake"),
    [
        ({}, "{folder} has no test-*.parquet, nor .parquet, .jsonl, .json, .csv in its place"),
        ({"config": "part"}, "{folder} has no part/test-*.parquet, nor .parquet, .jsonl, .json, .csv in its place"),
        ({"files": "rows/*.json"}, "{folder} has no rows/*.json"),
        ({"files": "rows.txt"}, "'rows.txt' must end in one of .parquet, .jsonl, .json, .csv"),
    ],
)
def test_files_that_are_not_there_are_told(tmp_path: Path, changes: dict[str, Any], mistake: str) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "rows.txt").write_text("x")
    with pytest.raises(UsageError) as caught:
        ask(describe(tmp_path, **changes), folder)
    assert str(caught.value) == mistake.format(folder=folder)


def test_a_place_that_is_no_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        ask(describe(tmp_path), tmp_path / "nowhere")
    assert str(caught.value) == f"--dataset-path {tmp_path}/nowhere is no folder"


def test_an_unknown_subject_gets_a_suggestion() -> None:
    with pytest.raises(UsageError) as caught:
        open_workload("mvbench", Sources(subjects=("action_cont",)))
    assert str(caught.value) == "unknown subject of mvbench 'action_cont': did you mean 'action_count'?"


def test_from_the_hub_only_what_is_named_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    asked: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    rows = datasets.Dataset.from_list([{"a": 1}]).to_iterable_dataset()

    def load_dataset_builder(*arguments: Any, **options: Any) -> Any:
        asked.append((arguments, options))
        read = Mock(return_value=rows)
        splits.append(read)
        return Mock(as_streaming_dataset=read, config=Mock(data_files=None))

    splits: list[Mock] = []
    monkeypatch.setattr(datasets, "load_dataset_builder", load_dataset_builder)
    for name in ("docvqa", "mmdu"):
        workload = open_workload(name, Sources(recur="none"))
        assert isinstance(workload, Dataset)
        with pytest.raises(UsageError, match="unknown field"):
            list(workload.conversations(StreamOptions(1)))
    place = "hf://datasets/laolao77/MMDU@main/benchmark.json"
    assert asked == [
        (("lmms-lab/DocVQA", "DocVQA"), {"revision": None}),
        (("json",), {"data_files": place}),
    ]
    assert [read.call_args for read in splits] == [call(split="validation"), call(split="train")]


def test_a_data_set_without_parts_has_no_subjects() -> None:
    with pytest.raises(UsageError) as caught:
        open_workload("docvqa", Sources(subjects=("Art",)))
    assert str(caught.value) == "--subjects chooses parts of a data set, and docvqa has none: drop it"


def test_a_file_without_rows_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here/test.jsonl").touch()
    with pytest.raises(UsageError) as caught:
        ask(describe(tmp_path), tmp_path / "here")
    assert str(caught.value) == f"test in {tmp_path}/here has no rows"
    (tmp_path / "here/test.jsonl").rename(tmp_path / "here/test.parquet")
    with pytest.raises(UsageError, match="cannot be opened: Parquet file size is 0 bytes"):
        ask(describe(tmp_path), tmp_path / "here")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("place", ["datasets/you/yours@main/0.png", "datasets/me/mine@main/../../you/yours@main/0.png"])
def test_media_on_the_hub_are_those_of_the_data_set(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    from workloads.datasets.media import MediaFiles
    from workloads.datasets.rows import Table

    files = MemoryFileSystem()
    files.pipe("/datasets/you/yours@main/0.png", b"picture")
    monkeypatch.setattr("huggingface_hub.HfFileSystem", lambda: files)
    with pytest.raises(ValueError, match="it leads out of the data set"):
        MediaFiles(Table("me/mine", "test"), None).media(f"hf://{place}", "image", "x")


def test_a_picture_may_be_as_large_as_one_of_the_users_own(write_lines: Write, tmp_path: Path) -> None:
    write_lines("here/test.jsonl", [_row(image="large.png")])
    with (tmp_path / "here/large.png").open("wb") as file:
        file.truncate(64 * 2**20 + 1)
    with pytest.raises(UsageError, match=r"'large\.png' cannot be read: it is larger than 64 MiB"):
        ask(describe(tmp_path), tmp_path / "here")


def test_links_into_a_folder_that_is_named_like_the_hubs_are_not_followed(write_lines: Write, tmp_path: Path) -> None:
    write_lines("data/abc/test.jsonl", [_row(image="link.png")])
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "123").write_bytes(png(1))
    (tmp_path / "data/abc/link.png").symlink_to("../../blobs/123")
    with pytest.raises(UsageError, match="it leads out of the data set"):
        ask(describe(tmp_path), tmp_path / "data" / "abc")


def test_a_file_of_the_hub_is_read_where_the_rows_say(monkeypatch: pytest.MonkeyPatch) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    from workloads.datasets.media import MediaFiles
    from workloads.datasets.rows import Table

    files = MemoryFileSystem()
    files.pipe("/datasets/me/mine@v1/pictures/0.png", b"picture")
    files.pipe("/datasets/me/mine@abc/1.png", b"other")
    monkeypatch.setattr("huggingface_hub.HfFileSystem", lambda: files)
    media = MediaFiles(Table("me/mine", "test", revision="v1"), None)
    found = [media.media(path, "image", "x")[0].data for path in ("pictures/0.png", "hf://datasets/me/mine@abc/1.png")]
    assert found == [b"picture", b"other"]
