"""MMMU through lm-eval's own files, over rows in the hub's layout."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vlcache_cli.app import main
from workloads.base import StreamOptions
from workloads.datasets.sources import Sources
from workloads.errors import UsageError
from workloads.lm_eval.mmmu import Mmmu, open_mmmu
from workloads.records import Answer, Recur, Turn
from workloads.scoring import judge

SUBJECTS = ("Art", "Math", "Physics")
OPTIONS = "\n\n(A) yes\n(B) no\n(C) "
CHOICE = Answer(("B",), "mmmu", ("yes", "no", "<image 2>"))
OPEN = Answer(("3.5",), "mmmu")


def turns(folder: Path, recur: Recur = "none", samples: int = 99, seed: int = 0) -> list[Turn]:
    workload = open_mmmu(Sources(folder, SUBJECTS, recur))
    stream = workload.conversations(StreamOptions(samples, seed, 0.5, popularity="even"))
    return [turn for conversation in stream for turn in conversation.turns]


def text(turn: Turn) -> list[str]:
    return [part if isinstance(part, str) else "PICTURE" for part in turn.content]


def test_mmmu_has_30_subjects_and_needs_longer_answers() -> None:
    workload = open_mmmu(Sources())
    assert (workload.name, workload.metric) == ("mmmu", "mmmu")
    assert len(workload.tasks) == 30
    assert {"Accounting", "Architecture_and_Engineering", "Sociology"} < set(workload.tasks)
    assert workload.defaults.max_new_tokens == 512
    assert workload.defaults.recurrence == "what was shown is asked again under another opening"


def test_an_unknown_subject_gets_a_suggestion() -> None:
    with pytest.raises(UsageError) as caught:
        open_mmmu(Sources(subjects=("Art", "Maths")))
    assert str(caught.value) == "unknown subject of mmmu 'Maths': did you mean 'Math'?"


def test_of_a_partial_copy_what_is_there_is_asked_and_the_rest_is_named(mmmu: Path, tmp_path: Path) -> None:
    partial = open_mmmu(Sources(mmmu))
    assert tuple(partial.tasks) == SUBJECTS
    told = partial.defaults.left_out
    assert told is not None
    assert told.startswith(f"3 of 30 subjects are in {mmmu}, and asked; missing: Accounting, Agriculture, ")
    assert told.endswith(", Sociology; --subjects chooses among them")
    assert not any(f" {subject}," in told for subject in SUBJECTS)
    asked = partial.conversations(StreamOptions(99, 0, 0.0, popularity="even"))
    assert {turn.family for conversation in asked for turn in conversation.turns} == set(SUBJECTS)
    for whole in (Sources(), Sources(mmmu, SUBJECTS), Sources(tmp_path), Sources(tmp_path / "none")):
        assert open_mmmu(whole).defaults.left_out is None
    with pytest.raises(UsageError, match=r"has no \w+/validation-"):
        next(open_mmmu(Sources(tmp_path)).conversations(StreamOptions(1)))


def test_every_question_is_asked_with_its_pictures_in_their_places(mmmu: Path) -> None:
    asked = {turn.id: turn for turn in turns(mmmu)}
    assert set(asked) == {f"validation_{subject}_{number}" for subject in SUBJECTS for number in range(1, 6)}
    choice, opened = asked["validation_Math_3"], asked["validation_Math_4"]
    ending = "\n\nAnswer with the option's letter from the given choices directly."
    assert text(choice) == ["Is ", "PICTURE", " like ", "PICTURE", f"?{OPTIONS}", "PICTURE", ending]
    assert choice.media[0] is choice.media[1] is not choice.media[2]
    assert (choice.answer, choice.family) == (CHOICE, "Math")
    assert text(opened) == ["How many in ", "PICTURE", "?\n\nAnswer the question using a single word or phrase."]
    assert opened.answer == OPEN


def on_white(picture: Image.Image) -> Image.Image:
    """Composite a picture with alpha on white; any other as it is."""
    if picture.mode != "RGBA":
        return picture
    paper = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(paper, picture).convert("RGB")


def test_pictures_keep_their_pixels_and_modes_but_for_alpha_which_is_composited_on_white(mmmu: Path) -> None:
    import datasets

    rows = datasets.load_dataset("parquet", data_files=str(mmmu / "Art" / "*.parquet"), split="train", streaming=True)
    kept: dict[str, list[Image.Image]] = {
        row["id"]: [row["image_1"], *([row["image_2"]] if row["image_2"] else [])] for row in rows
    }
    modes = set()
    assert "RGBA" in {picture.mode for pictures in kept.values() for picture in pictures}
    for turn in turns(mmmu):
        if turn.family != "Art":
            continue
        shown = [Image.open(io.BytesIO(medium.data)) for medium in dict.fromkeys(turn.media)]
        expected = [on_white(picture) for picture in kept[turn.id]]
        assert [(image.mode, image.tobytes()) for image in shown] == [(i.mode, i.tobytes()) for i in expected]
        assert all(image.format == "PNG" for image in shown)
        modes |= {image.mode for image in shown}
    assert modes == {"RGB", "L", "P"}


def test_subjects_take_turns_and_a_seed_draws_other_questions(mmmu: Path) -> None:
    drawn = [[turn.id for turn in turns(mmmu, samples=6, seed=seed)] for seed in range(3)]
    assert all({name.split("_")[1] for name in ids[:3]} == set(SUBJECTS) for ids in drawn)
    assert drawn[0] == [turn.id for turn in turns(mmmu, samples=6)]
    assert len({tuple(sorted(ids)) for ids in drawn}) == 3


@pytest.mark.parametrize(
    ("answer", "reply", "score"),
    [
        (CHOICE, "B", 1),
        (CHOICE, "The answer is (B).", 1),
        (CHOICE, "(A)", 0),
        (CHOICE, "I would say that the right one is no", 1),
        (OPEN, "3.5", 1),
        (OPEN, "The result is 3.50", 1),
        (OPEN, "4", 0),
        (OPEN, "", 0),
        (Answer(("a half", "0.5"), "mmmu"), "it is 0.5", 1),
    ],
)
def test_what_can_be_read_is_scored_as_officially(answer: Answer, reply: str, score: float) -> None:
    judged = judge(reply, answer)
    assert (judged.score, judged.parsed, judged.official) == (score, True, score)


@given(seeds=st.lists(st.text(max_size=5), min_size=1, max_size=20, unique=True))
def test_a_guess_is_the_requests_own_and_no_score(seeds: list[str]) -> None:
    answers = [Answer(CHOICE.accepted, "mmmu", CHOICE.choices, seed=seed) for seed in seeds]
    judged = [judge("?", answer) for answer in answers]
    assert all((found.score, found.parsed) == (0, False) for found in judged)
    assert judged == [judge("?", answer) for answer in answers]


def test_about_a_third_of_the_guesses_hit_and_nobody_elses_random_numbers_change() -> None:
    random.seed(5)
    expected = [random.random() for _ in range(3)]
    random.seed(5)
    hits = 0.0
    for number in range(300):
        if number % 100 == 0:
            assert random.random() == expected[number // 100]
        hits += judge("nothing to read", Answer(("B",), "mmmu", ("x", "y", "z"), seed=str(number))).official or 0
    assert hits == pytest.approx(100, abs=30)


def test_the_same_question_guesses_anew_when_it_is_asked_again(mmmu: Path) -> None:
    asked = [turn for turn in turns(mmmu, "prefix", 60) if turn.answer.choices]
    guesses = {turn.answer.seed: judge("?", turn.answer).official for turn in asked}
    assert len(guesses) == len(asked)
    assert set(guesses.values()) == {0.0, 1.0}


def test_a_local_copy_is_benchmarked_without_any_network(
    mmmu: Path, sealed: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    options = ["--subjects", "Art,Math,Physics", "--samples", "8", "--max-new-tokens", "2", "--warmup", "0"]
    code = main(["bench", "--workload", "mmmu", "--dataset-path", str(mmmu), "--runner", "full,prefix-cache,full-reuse",
                 "--output", str(run), "--json", *options])  # fmt: skip
    out, err = capsys.readouterr()
    assert code == 0, err
    assert "mmmu: what was shown is asked again under another opening" in err
    rows: dict[str, Mapping[str, Any]] = {row["runner"]: row for row in json.loads(out)["summary"]}
    for row in rows.values():
        assert (row["requests"], row["failed"]) == (8, 0)
        assert row["parse_failed"] is not None
        assert row["official_accuracy"] is not None
    assert {name: row["kv_hit_rate"] for name, row in rows.items()} == {"full": 0, "prefix-cache": 0, "full-reuse": 0.5}
    assert rows["prefix-cache"]["encoder_hit_rate"] == 0.5
    records = [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]
    assert {record["warmth"] for record in records if "-again-" in record["request"]} == {"warm"}
    assert {record["warmth"] for record in records if "-again-" not in record["request"]} == {"cold"}
    asked = json.loads((run / "manifest.json").read_text())["asked"]["mmmu"]
    assert asked == {
        "max_new_tokens": 2,
        "reuse_rate": 0.5,
        "popularity": "even",
        "recurrence": "what was shown is asked again under another opening",
        "samples": 8,
        "metrics": ["mmmu"],
    }


def test_without_network_and_copy_one_line_tells_the_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--workload", "mmmu", "--subjects", "Art"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (mistake,) = err.splitlines()
    assert "MMMU/MMMU (Art/validation) on the Hugging Face hub cannot be opened" in mistake
    assert mistake.endswith("give --dataset-path DIR with a local copy in the hub's layout")


def test_the_hub_is_asked_for_the_subject_alone_and_read_as_it_comes(
    mmmu: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    asked: list[tuple[Any, ...]] = []
    load = datasets.load_dataset_builder

    def load_dataset_builder(path: str, name: str, revision: str | None) -> Any:
        asked.append((path, name, revision))
        builder = load("parquet", data_files={"validation": str(mmmu / name / "*.parquet")})
        for number, place in enumerate(builder.config.data_files["validation"]):
            hub.pipe(f"/{name}/{number}.parquet", Path(place).read_bytes())
        there = [f"hf://{name}/{number}.parquet" for number in range(len(builder.config.data_files["validation"]))]
        return Mock(as_streaming_dataset=builder.as_streaming_dataset, config=Mock(data_files={"validation": there}))

    hub = MemoryFileSystem()
    monkeypatch.setattr("huggingface_hub.HfFileSystem", lambda: hub)
    monkeypatch.setattr(datasets, "load_dataset_builder", load_dataset_builder)
    workload = open_mmmu(Sources(subjects=("Math",), recur="none"))
    assert len(list(workload.conversations(StreamOptions(3)))) == 3
    assert asked == [("MMMU/MMMU", "Math", None)]


def test_a_copy_without_the_subject_is_told_apart(mmmu: Path) -> None:
    workload: Mmmu = open_mmmu(Sources(mmmu, ("Music",)))
    with pytest.raises(UsageError) as caught:
        list(workload.conversations(StreamOptions(1)))
    assert str(caught.value).startswith(f"{mmmu} has no Music/validation-*.parquet, nor ")
