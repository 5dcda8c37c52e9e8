"""``vlcache lm-eval`` as a user calls it: lm-eval's arguments, its table, our times, and the exit code."""

from __future__ import annotations

import functools
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lm_eval.tasks
import lm_eval.utils
import pytest

from runners.lm_eval.model import VLCacheLM
from vlcache_cli.app import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _lm_eval_as_it_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Its logger is set up for good by its command; its index of thousands of tasks is slow, and not needed here."""
    own = functools.partial(lm_eval.tasks.TaskManager, include_defaults=False)
    monkeypatch.setattr(lm_eval.tasks, "TaskManager", own)
    monkeypatch.setattr(lm_eval.utils, "_LOGGING_CONFIGURED", False)
    monkeypatch.chdir(tmp_path)
    logger = logging.getLogger("lm_eval")
    before = (logger.handlers[:], logger.propagate, logger.level)
    yield
    logger.handlers[:], logger.propagate, _ = before
    logger.setLevel(before[2])


@pytest.fixture
def told(tasks: Any) -> list[str]:
    """What says which tasks there are and who answers."""
    arguments = "runner=cacheblend@score=k,ratio=0.2,pretrained=builtin,device=cpu"
    return ["--include_path", str(tasks.folder), "--model", "vlcache", "--model_args", arguments]


def test_the_table_is_lm_evals_and_the_times_are_ours(told: list[str], capsys: Capture, tmp_path: Path) -> None:
    wanted = [
        "--tasks",
        "cards,words",
        "--limit",
        "2",
        "--apply_chat_template",
        "--output_path",
        "out",
        "--log_samples",
    ]
    given = sys.argv[:]
    assert main(["lm-eval", *told, *wanted]) == 0
    assert sys.argv == given
    out, err = capsys.readouterr()
    assert "|exact_match|" in out
    assert "TTFT" not in out
    *_, summary, kept = err.splitlines()
    assert summary.startswith("cacheblend@score=k,ratio=0.2: TTFT of 4 samples: p50 ")
    (file,) = Path("out").glob("vlcache_timing_*.jsonl")
    assert kept == f"times of every sample kept in {file}"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["task"], line["doc_id"], line["status"]) for line in lines] == [
        ("cards", 0, "ok"),
        ("cards", 1, "ok"),
        ("words", 0, "ok"),
        ("words", 1, "ok"),
    ]
    assert all(line["timing"]["ttft_ms"] > 0 for line in lines)
    (samples,) = Path("out/builtin").glob("samples_cards_*.jsonl")
    logged = [json.loads(line)["prompt_hash"] for line in samples.read_text().splitlines()]
    assert [line["prompt_hash"] for line in lines[:2]] == logged
    (results,) = Path("out/builtin").glob("results_*.json")
    assert json.loads(results.read_text())["config"]["vlcache"]["summary"]["samples"] == 4


def test_settings_may_come_from_a_file_of_lm_eval(tasks: Any, capsys: Capture, tmp_path: Path) -> None:
    settings = {
        "model": "vlcache",
        "model_args": {"runner": "full", "device": "cpu"},
        "tasks": ["words"],
        "include_path": str(tasks.folder),
        "output_path": "kept/results.json",
    }
    Path("settings.json").write_text(json.dumps(settings))  # which is YAML, too
    assert main(["lm-eval", "run", "--config", "settings.json"]) == 0
    (file,) = Path("kept").glob("vlcache_timing_*.jsonl")
    assert len(file.read_text().splitlines()) == 2


def test_failed_samples_have_an_exit_code_of_their_own(told: list[str], capsys: Capture) -> None:
    long = ["--tasks", "words", "--gen_kwargs", "max_gen_toks=1000000"]
    assert main(["lm-eval", *told, *long]) == 4
    out, err = capsys.readouterr()
    assert "|exact_match|" in out
    assert err.splitlines()[-1].endswith(
        "TTFT of 0 samples: none measured; of 0 pictures 0 had encoder output from before, 0 keys and values; "
        "2 samples failed, and have empty answers"
    )


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (["--tasks", "nosuch"], "lm-eval: Tasks not found: nosuch"),
        (
            ["--tasks", "words", "--log_samples"],
            "lm-eval: Specify --output_path if providing --log_samples or --predict_only",
        ),
        (["--tasks", "words", "--model_args", "ratoi=0.1"], "unknown model argument 'ratoi': did you mean 'ratio'?"),
        (
            ["--tasks", "words", "--model", "vlcash"],
            "lm-eval: Attempted to load model 'vlcash', but no model for this name found!",
        ),
        (
            ["--tasks", "words", "--gen_kwargs", "temperature=0.7"],
            "task 'words', document 0: runners answer greedily: ",
        ),
        (["run", "--config", "nosuch.yaml"], "lm-eval: Config file not found: "),
    ],
)
def test_what_cannot_be_asked_is_one_line(told: list[str], more: list[str], line: str, capsys: Capture) -> None:
    arguments = [*more, *told] if more[0] == "run" else [*told, *more]
    assert main(["lm-eval", *arguments]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"vlcache: {line}")


def test_a_wrong_flag_is_told_by_lm_eval(capsys: Capture) -> None:
    assert main(["lm-eval", "--nosuch", "flag"]) == 2
    assert capsys.readouterr().err == "vlcache: lm-eval: error: unrecognized arguments: --nosuch flag\n"
    assert main(["lm-eval", "--model", "vlcache", "--model_args", "x", "--tasks", "y"]) == 2
    assert capsys.readouterr().err == "vlcache: lm-eval: error: argument --model_args: expected `key=value`, got 'x'\n"


def test_a_failure_of_ours_is_an_internal_error(
    told: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(VLCacheLM, "generate_until", fail)
    assert main(["lm-eval", *told, "--tasks", "words"]) == 70
    assert "vlcache: internal error, RuntimeError: broken" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"], ["run", "--help"]])
def test_the_help_is_lm_evals_with_a_line_of_ours_above(arguments: list[str], capsys: Capture) -> None:
    assert main(["lm-eval", *arguments]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("lm-eval's own command line; with --model vlcache ")
    assert any("usage: lm-eval" in line for line in rest)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"tasks: {'9' * 6000}", "is not valid YAML: Exceeds the limit (4300 digits)"),
        ("limit: 2024-02-31", "is not valid YAML: day is out of range for month"),
        ("[1]", "must map names to values, not [1]"),
        ("output_path: [1]", "output_path must be a text, not [1]"),
        ('"\\x1b]0;x\\x07": [', "is not valid YAML: "),
    ],
)
def test_a_hostile_file_of_settings_is_one_printable_line(capsys: Capture, text: str, reason: str) -> None:
    Path("mine.yaml").write_text(text)
    assert main(["lm-eval", "run", "--config", "mine.yaml"]) == 2
    line = capsys.readouterr().err.removesuffix("\n")
    assert line.isprintable()
    assert reason in line
    assert "mine.yaml" in line
