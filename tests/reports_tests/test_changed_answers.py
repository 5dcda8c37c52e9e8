from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from reports.run import changed_answers as changed_answers_module
from reports.run.changed_answers import ChangedAnswersLog, KeptMedium, read_changed_answers, read_medium
from workloads.errors import UsageError
from workloads.records import Answer, Conversation, Media, Turn

FIRST, SECOND = Media("image", b"one", "one.png"), Media("video", b"two", "../two.mp4")
GOLD = Answer(("A",), "exact-match")
TALK = Conversation(
    "c", "c", "", (Turn("t0", ("What is ", FIRST, "this?"), GOLD, "a"), Turn("t1", (SECOND, FIRST, "And?"), GOLD, "a"))
)


def test_what_was_asked_comes_back_with_the_media_of_the_whole_prompt(tmp_path: Path) -> None:
    log = ChangedAnswersLog(tmp_path, keep_media=True)
    log.keep("w", TALK, 1)
    log.keep("w", TALK, 1)
    (asked,) = read_changed_answers(tmp_path).values()
    assert (asked.workload, asked.request, asked.question) == ("w", "t1", "And?")
    assert [(medium.kind, medium.name) for medium in asked.media] == [
        ("image", "one.png"),
        ("video", "../two.mp4"),
        ("image", "one.png"),
    ]
    assert [read_medium(tmp_path, medium) for medium in asked.media] == [b"one", b"two", b"one"]
    assert len([*(tmp_path / "media").iterdir()]) == 2


def test_the_beginning_of_an_answer_comes_back_and_older_logs_have_none(tmp_path: Path) -> None:
    log = ChangedAnswersLog(tmp_path, keep_media=True)
    log.keep("w", Conversation("c", "c", "", (Turn("t0", ("Quote.",), GOLD, "a", answer_begins="The cat"),)), 0)
    line = {"workload": "w", "request": "old", "question": "?", "media": []}
    with (tmp_path / "asked.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    assert [asked.answer_begins for asked in read_changed_answers(tmp_path).values()] == ["The cat", ""]


def test_a_log_goes_on_behind_a_torn_line(tmp_path: Path) -> None:
    ChangedAnswersLog(tmp_path, keep_media=True).keep("w", TALK, 0)
    whole = (tmp_path / "asked.jsonl").read_bytes()
    (tmp_path / "asked.jsonl").write_bytes(whole + whole[: len(whole) // 2])
    ChangedAnswersLog(tmp_path, keep_media=True).keep("w", TALK, 1)
    assert [*read_changed_answers(tmp_path)] == [("w", "t0"), ("w", "t1")]


def test_media_stay_out_on_request_and_beyond_the_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ChangedAnswersLog(tmp_path, keep_media=False).keep("w", TALK, 0)
    monkeypatch.setattr(changed_answers_module, "MOST_BYTES", 4)
    ChangedAnswersLog(tmp_path, keep_media=True).keep("w", TALK, 1)
    first, second = read_changed_answers(tmp_path).values()
    assert [medium.file is not None for medium in (*first.media, *second.media)] == [False, True, False, True]
    monkeypatch.setattr(changed_answers_module, "LARGEST_MEDIUM", 2)
    assert read_medium(tmp_path, second.media[0]) is None


@pytest.mark.parametrize("plant", [os.link, lambda file, place: place.write_bytes(file.read_bytes())])
def test_a_medium_that_is_not_what_its_name_tells_is_not_read(
    tmp_path: Path, plant: Callable[[Path, Path], None]
) -> None:
    ChangedAnswersLog(tmp_path, keep_media=True).keep("w", TALK, 0)
    (asked,) = read_changed_answers(tmp_path).values()
    private = tmp_path / "private"
    private.write_bytes(b"mine")
    (medium, *_) = asked.media
    assert medium.file is not None
    assert read_medium(tmp_path, medium) == b"one"
    (tmp_path / "media" / medium.file).unlink()
    plant(private, tmp_path / "media" / medium.file)
    assert read_medium(tmp_path, medium) is None


def test_no_file_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    line = {"workload": "w", "request": "t", "question": "?", "media": [{"kind": "image", "name": "x", "file": "../x"}]}
    (tmp_path / "asked.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(
        UsageError, match=r"asked.jsonl, line 1 is corrupt \(media\[0\]: '../x' is no name of a kept medium\)"
    ):
        read_changed_answers(tmp_path)


def test_of_a_run_without_changed_answers_nothing_was_kept(tmp_path: Path) -> None:
    assert read_changed_answers(tmp_path) == {}
    assert read_medium(tmp_path, KeptMedium("image", "x", "0" * 32)) is None
