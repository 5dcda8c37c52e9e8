"""What a command is told of its model reaches the model; and what a model without trained weights may not say."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runners.engine.attention.backends import BACKENDS
from runners.records import Status
from vlcache_cli.app import main
from workloads.registry import TEXT_PAGES

Bench = Callable[..., int]
WORTH = ("accuracy", "accuracy_delta", "agreement", "official_accuracy", "kl_mean", "verdict")


def summary(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["summary"]
    return rows


def test_everything_told_of_the_model_reaches_it(bench: Bench, world: Any) -> None:
    told = ["--revision", "v1", "--dtype", "float16", "--device-map", "auto", "--attn", next(iter(BACKENDS))]
    assert bench("--model", "owner/name", *told) == 0
    assert world.revision == "v1"
    assert world.options == ("float16", "auto", None, "auto", next(iter(BACKENDS)))
    assert bench() == 0
    assert (world.revision, world.options) == (None, ("auto", "auto", None, "single", "auto"))


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--attn", "sdpaa"], f"--attn must be {', '.join(['auto', *list(BACKENDS)[:-1]])} or {list(BACKENDS)[-1]}, "),
        (["--device-map", "balanced"], "--device-map must be single or auto, not 'balanced'"),
        (["--revision", " "], "--revision must be a text, not ' '"),
    ],
)
def test_a_wrong_option_is_one_line(
    bench: Bench, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    assert bench(*arguments) == 2
    assert capsys.readouterr().err.startswith(f"vlcache: {line}")


@pytest.mark.parametrize("failing", [{}, {"binding-1": Status.OUT_OF_MEMORY}])
def test_random_weights_are_timed_and_not_judged(
    bench: Bench, world: Any, capsys: pytest.CaptureFixture[str], failing: dict[str, Status]
) -> None:
    world.random_weights, world.failing = True, failing
    assert bench("--json", "--output", "run") == (4 if failing else 0)
    for row in summary(capsys):
        assert {name: row[name] for name in WORTH} == dict.fromkeys(WORTH)
        assert (row["weights"], row["requests"]) == ("random", 4)
        assert row["ttft_ms_p50"] > 0
    records = [json.loads(line) for line in Path("run/records.jsonl").read_text().splitlines()]
    assert {(record["score"], record["kl"], record["agrees"]) for record in records} == {(None, None, None)}
    assert all(record["timing"] for record in records if record["status"] == "ok")


def test_a_resumed_run_of_random_weights_is_not_judged_either(
    bench: Bench, world: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    world.random_weights, world.stop_with, world.stop_after = True, KeyboardInterrupt(), 5
    assert bench("--output", "run") == 130
    world.stop_with = None
    capsys.readouterr()
    assert bench("--json", "--output", "run", "--resume") == 0
    assert {row["agreement"] for row in summary(capsys)} == {None}


def test_the_table_says_why_nothing_is_judged(bench: Bench, world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    why = "random weights: answers mean nothing; accuracy, agreement, KL and verdict are left out\n"
    assert bench("--wide") == 0
    assert why not in capsys.readouterr().out
    world.random_weights = True
    assert bench("--output", "run", "--wide") == 0
    out = capsys.readouterr().out
    assert out.count(why) == 1
    assert "binding: random weights: answers mean nothing." in out
    assert "undecided" not in out.splitlines()[out.splitlines().index(why.strip()) - 1]


def test_a_sweep_of_random_weights_recommends_nothing(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    world.random_weights = True
    few = ["--workload", "binding", "--samples", "4", "--runner", "full,prefix-cache,vlcache"]
    assert main(["sweep", *few, "--recompute-ratio", "0,0.1,1", "--output", "run"]) == 0
    out = capsys.readouterr().out
    assert "recommended for binding: none; no answer on binding was judged\n" in out
    assert "random weights: " in out


def test_random_weights_have_no_profile(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["profile", "--model", "shape:qwen3-vl-2b", "--output", "run"]) == 2
    assert capsys.readouterr().err == (
        "vlcache: model 'shape:qwen3-vl-2b' has random weights: a profile of them would tell nothing\n"
    )
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("model", "workload", "contents", "fitting"),
    [("builtin", "quote", "text", "reader"), ("reader", "binding", "cards", "builtin")],
)
def test_a_model_that_cannot_read_a_workload_is_refused_before_it_is_made(
    bench: Bench,
    world: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    workload: str,
    contents: str,
    fitting: str,
) -> None:
    def resolve_model(name: str, revision: str | None, tell: Any) -> Path:
        raise AssertionError("the model is made for nothing")

    monkeypatch.setattr(sys.modules["runners.models.load"], "resolve_model", resolve_model)
    line = (
        f"vlcache: the model '{model}' cannot read {contents} in pictures: workload '{workload}' needs "
        f"--model {fitting} or a model of your own\n"
    )
    arguments = ["--model", model, "--workload", workload, "--output", "run"]
    for command in ("bench", "sweep", "profile"):
        assert main([command, *arguments]) == 2
        assert capsys.readouterr().err == line
    assert world.loaded == 0
    assert not Path("run").exists()


@pytest.mark.parametrize("model", ["owner/name", "shape:qwen2.5-vl-3b"])
def test_a_model_that_is_not_known_may_be_asked_anything(bench: Bench, world: Any, model: str) -> None:
    assert bench("--model", model, "--workload", "quote") == 0
    assert world.loaded == 1


def test_the_reader_is_asked_about_text_pages_where_nothing_else_is_given(bench: Bench, world: Any) -> None:
    assert main(["bench", "--model", "reader", "--samples", "2", "--runner", "full", "--output", "run"]) == 0
    assert list(json.loads(Path("run/manifest.json").read_text())["workloads"]) == list(TEXT_PAGES)
