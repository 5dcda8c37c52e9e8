from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.gate.gate import judge_folder
from runners.records import Status

Bench = Callable[..., int]
DECIDING = ("--until-decided", "--max-samples", "200", "--margin", "0.3", "--popularity", "even", "--output", "run")


def manifest() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(Path("run/manifest.json").read_text())
    return document


def requests() -> int:
    return len(Path("run/records.jsonl").read_text().splitlines()) // 3


def test_a_run_ends_when_it_is_decided_and_says_when(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(*DECIDING, "--json") == 0
    out, err = capsys.readouterr()
    (decision,) = manifest()["decisions"]
    assert (decision["workload"], decision["runner"], decision["verdict"]) == ("binding", "vlcache", "non-inferior")
    assert decision["requests"] == requests() < 200
    assert decision["separate"] <= decision["requests"]
    assert decision["seconds"] >= 0
    assert "binding: vlcache is non-inferior at 30 points after " in err
    rows = {row["runner"]: row for row in json.loads(out)["summary"]}
    assert rows["vlcache"]["verdict"] == "non-inferior"
    assert (rows["vlcache"]["decided_requests"], rows["vlcache"]["decided_s"]) == (requests(), decision["seconds"])
    assert rows["full"]["decided_requests"] is None


def test_the_gate_uses_the_bounds_that_allow_for_looking(bench: Bench) -> None:
    bench(*DECIDING)
    claim = next(claim for claim in judge_folder(Path("run"), None, None, ()).result.claims if claim.low is not None)
    separate = manifest()["decisions"][0]["separate"]
    assert claim.requirement == "margin"
    assert -0.3 < (claim.low or 0) < 0.05 ** (1 / separate) - 1 - 0.01


def test_what_is_never_decided_is_told(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--until-decided", "--max-samples", "6", "--output", "run") == 0
    assert "binding: undecided at 2 points after " in capsys.readouterr().err
    assert manifest()["decisions"] == []
    assert requests() == 6


def test_a_broken_off_run_is_decided_as_if_it_had_not_been(bench: Bench, world: Any) -> None:
    world.stop_with, world.stop_after = KeyboardInterrupt(), 9
    assert bench(*DECIDING) == 130
    world.stop_with = None
    assert bench(*DECIDING, "--resume") == 0
    (decision,) = manifest()["decisions"]
    assert decision["requests"] == requests()
    before = Path("run/records.jsonl").read_text()
    assert bench(*DECIDING, "--resume") == 0
    assert Path("run/records.jsonl").read_text() == before
    assert manifest()["decisions"] == [decision]


def test_a_run_until_decided_cannot_go_on_as_another(bench: Bench) -> None:
    bench(*DECIDING)
    assert bench("--output", "run", "--margin", "0.3", "--popularity", "even", "--resume") == 2


def test_any_run_says_what_is_decided_so_far_and_keeps_nothing_of_it(
    bench: Bench, world: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    world.failing = {f"binding-{number}": Status.REUSE_VIOLATED for number in range(60)}
    flags = ("--samples", "60", "--popularity", "even", "--output", "run")
    assert bench(*flags) == 4
    told = "binding: vlcache is inferior so far at 2 points after "
    assert capsys.readouterr().err.count(told) == 1
    assert "decisions" not in manifest()
    assert requests() == 60, "who is decided is asked on"
    bench(*flags, "--resume")
    assert told not in capsys.readouterr().err, "what an earlier part of the run told"


def test_nothing_is_decided_of_random_weights(bench: Bench, world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    world.random_weights = True
    world.failing = {f"binding-{number}": Status.REUSE_VIOLATED for number in range(60)}
    bench("--samples", "60", "--popularity", "even", "--output", "run")
    assert "is inferior" not in capsys.readouterr().err
