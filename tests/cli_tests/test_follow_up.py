"""``--follow-up``: requests beyond the first, of those whose loss they can bound."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runners.records import Status
from vlcache_cli.app import main
from vlcache_cli.config.commands import BenchConfig
from vlcache_cli.jobs.streams import count_turns, open_streams
from workloads.registry import CARDS, load_workload

Bench = Callable[..., int]
FOLLOWED = ("--samples", "12", "--follow-up", "36", "--margin", "0.3", "--output", "run")


def manifest() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(Path("run/manifest.json").read_text())
    return document


def asked() -> Counter[str]:
    return Counter(json.loads(line)["runner"] for line in Path("run/records.jsonl").read_text().splitlines())


def test_who_lost_nothing_is_asked_on_with_the_reference(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(*FOLLOWED, "--json") == 0
    out, err = capsys.readouterr()
    assert "vlcache is asked on, to bound what it loses: binding" in err
    (stream,) = open_streams(BenchConfig(workload=("binding",), samples=12, follow_up=36)).values()
    requests = count_turns(stream.follow_up)
    assert requests == 33, "those of a case that does not come back are left out"
    assert manifest()["follow_up"] == {
        "requests": {"binding": requests},
        "chosen": {"binding": "vlcache"},
        "begins": "1.",
    }
    counts = asked()
    assert counts["prefix-cache"] == 12 < counts["full"] == counts["vlcache"]
    losses = {row["runner"]: row["loss_at_most"] for row in json.loads(out)["summary"]}
    assert losses["vlcache"] < 0.3


@pytest.mark.parametrize(("reference", "is_spared"), [("full", True), ("prefix-cache", False)])
def test_a_reference_that_stores_what_cold_requests_bring_is_not_spared_them(
    bench: Bench, world: Any, reference: str, is_spared: bool
) -> None:
    assert bench(*FOLLOWED, "--reference", reference) == 0
    assert manifest()["follow_up"]["chosen"] == {"binding": "vlcache"}
    assert world.spared == [False, is_spared]


def test_who_lost_too_many_answers_is_not(bench: Bench, world: Any) -> None:
    world.failing = {f"binding-{number}": Status.REUSE_VIOLATED for number in range(2, 12)}
    assert bench(*FOLLOWED) == 4
    assert manifest()["follow_up"]["chosen"] == {}
    assert set(asked().values()) == {12}


@pytest.mark.parametrize("stop_after", [7, 3 * 12 - 1, 3 * 12, 3 * 12 + 5])
def test_a_broken_off_run_is_followed_up_as_if_it_had_not_been(bench: Bench, world: Any, stop_after: int) -> None:
    assert bench(*FOLLOWED) == 0
    whole, choice = Path("run/records.jsonl").read_text(), manifest()["follow_up"]
    world.stop_with, world.stop_after = KeyboardInterrupt(), len(world.served) + stop_after
    assert bench(*FOLLOWED[:-1], "again") == 130
    world.stop_with = None
    assert bench(*FOLLOWED[:-1], "again", "--resume") == 0
    assert Path("again/records.jsonl").read_text() == whole
    assert json.loads(Path("again/manifest.json").read_text())["follow_up"] == choice


@pytest.mark.parametrize(
    "flags",
    [("--until-decided", "--max-samples", "4"), ("--concurrency", "2"), ("--request-rate", "1"), ("--no-image",)],
)
def test_what_contradicts_it_is_refused(
    bench: Bench, flags: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench("--follow-up", "9", *flags, "--output", "run") == 2
    assert "--follow-up" in capsys.readouterr().err


def test_requests_in_which_nothing_comes_back_are_refused(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--samples", "12", "--follow-up", "2", "--output", "run") == 2
    assert "--follow-up 2: no medium of 'binding' comes back in so few" in " ".join(capsys.readouterr().err.split())


def test_requests_of_a_file_are_given(world: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("own.jsonl").write_text('{"prompt": "How many?", "answer": "2"}\n')
    assert main(["bench", "--workload", "own.jsonl", "--follow-up", "9", "--output", "run"]) == 2
    assert "--follow-up draws with other seeds, and the requests of 'own.jsonl' are given" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("config", "follows"),
    [
        (BenchConfig(), True),
        (BenchConfig(samples=24), False),
        (BenchConfig(samples=24, follow_up=9), True),
        (BenchConfig(follow_up=0), False),
        (BenchConfig(popularity="zipf"), False),
        (BenchConfig(popularity="own"), True),
        (BenchConfig(reuse_rate=0.5), False),
        (BenchConfig(blocks=2), False),
        (BenchConfig(on="ray"), False),
        (BenchConfig(until_decided=True), False),
        (BenchConfig(concurrency=2), False),
        (BenchConfig(request_rate=2.0), False),
        (BenchConfig(distinct_media=(3,)), False),
    ],
)
def test_the_usual_streams_are_followed_up_unless_samples_say_how_many(config: BenchConfig, follows: bool) -> None:
    assert bool(config.follow_up_of(load_workload("binding").defaults.follow_up)) is follows


@pytest.mark.parametrize("workload", CARDS)
def test_what_follows_up_has_requests_and_media_of_its_own(workload: str) -> None:
    (stream,) = open_streams(BenchConfig(workload=(workload,), samples=12, follow_up=12)).values()
    parts = stream.blocks[0], stream.follow_up
    first, more = ({turn.id for talk in part for turn in talk.turns} for part in parts)
    assert first
    assert more
    assert not first & more
    clusters = [{talk.cluster_id for talk in part} for part in parts]
    assert not clusters[0] & clusters[1]
    visits = Counter(talk.cluster_id for talk in stream.follow_up)
    case = load_workload(workload).defaults.case
    assert case is not None
    assert min(visits.values()) > case.cold, "media that never come back are not asked about"
