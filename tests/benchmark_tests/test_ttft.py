"""The TTFT table: what is measured is what was asked for, or a line says that it is not."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

REQUESTS = 2
RUNNERS = [
    "full",
    "encoder-cache",
    "prefix-cache",
    "full-reuse",
    "cacheblend@ratio=0.15",
    "conduit@ratio=0.05",
    "vlcache@ratio=0.05",
    "vlcache@ratio=0.02",
]


@dataclass(frozen=True)
class Measured:
    """What one call of the script printed, and the run that it measured."""

    code: int
    text: str
    run: Any
    output: Path


@pytest.fixture(scope="module")
def script(script_of: Callable[[str], ModuleType]) -> ModuleType:
    return script_of("ttft")


@pytest.fixture(scope="module")
def measured(script: ModuleType, in_this_process: None, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    output = tmp_path_factory.mktemp("ttft")
    few = ["--requests", str(REQUESTS), "--warmup", "0", "--device-budget", "64MiB", "--host-budget", "64MiB"]
    sizes = ["--size", "2x48", "--size", "1x24"]
    with redirect_stdout(io.StringIO()) as text:
        code = script.main(["--model", "builtin", "--device", "cpu", *sizes, *few, "--output", str(output)])
    run = script.read_runs([script.Size(2, 48)], output)[script.Size(2, 48)]
    return Measured(code, text.getvalue(), run, output)


def cells(text: str, first_head: str) -> list[list[str]]:
    """A table of Markdown without its heads."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first_head} "))
    body = lines[start + 2 : start + 2 + len(RUNNERS)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body]


def test_every_runner_has_a_line_about_warm_requests(measured: Measured) -> None:
    assert measured.code == 0, measured.text
    assert measured.text.count("## builtin, ") == 2
    assert "## builtin, 2 pages of 48 vision tokens\n" in measured.text
    assert "## builtin, 1 page of 24 vision tokens\n" in measured.text
    assert re.search(
        r"Measured ceilings: \S+ TFLOP/s, \S+ GB/s within the device, \S+ GB/s from the host\.", measured.text
    )
    lines = cells(measured.text, "runner")
    assert [line[0].strip("`") for line in lines] == RUNNERS
    for line in lines:
        name, warm, ttft, on_host, faster, faster_on_host, than_lossless, computed, floor, _ = line
        assert int(warm) == REQUESTS
        assert min(float(ttft), float(faster), float(than_lossless), float(floor)) > 0
        assert (on_host == "-") == (faster_on_host == "-") == (name == "`full`")
        assert (float(computed) == 100) == (name in ("`full`", "`encoder-cache`", "`prefix-cache`"))
        assert name != "`full-reuse`" or float(computed) == 0
    assert [line[0] for line in cells(measured.text, "median ms")] == [line[0] for line in lines]


def test_the_numbers_are_those_of_the_records(script: ModuleType, measured: Measured) -> None:
    records = [record for record in measured.run.records if record.runner == "vlcache@ratio=0.05"]
    assert len(records) == 2 + REQUESTS
    warm = sorted(record.timing.ttft_ms for record in records if record.request.startswith("all-"))
    (line,) = (line for line in cells(measured.text, "runner") if line[0] == "`vlcache@ratio=0.05`")
    assert line[2] == f"{sum(warm) / 2:.1f}"


def test_the_facts_name_versions_and_no_date_and_no_place(measured: Measured) -> None:
    head = measured.text.split("##")[0]
    assert f"torch {version('torch')}," in head
    assert "- model: builtin in float32, attention by `sdpa`" in head
    assert "random" not in head
    assert not re.search(r"20\d\d-\d\d", head)


def test_random_weights_are_told(script: ModuleType, measured: Measured) -> None:
    manifest = measured.run.manifest
    random = {
        **manifest,
        "model": {**manifest["model"], "random_weights": True, "cuda": "13.0", "fused": ["qkv", "up"]},
    }
    lines = script.facts(random).splitlines()
    assert lines[-1] == "- The weights are random: nothing here says how right the answers are."
    assert lines[0].endswith("CUDA 13.0")
    assert "- fused: qkv, up" in lines


def test_what_was_not_as_asked_is_told(script: ModuleType, measured: Measured) -> None:
    run, size = measured.run, script.Size(2, 48)
    assert script.shortcomings(run, size, REQUESTS) == []
    assert script.shortcomings(run, script.Size(2, 49), REQUESTS) == [
        "98 vision tokens were asked for, and measured were [96]"
    ]
    assert script.shortcomings(run, size, REQUESTS + 1) == ["stopped after 32 of 40 answers"]
    failed = replace(run.records[-1], runner="full", error="out of memory", timing=None, cache=None)
    rows = [{**row, "failed": int(row["runner"] == "full")} for row in run.rows]
    assert script.shortcomings(replace(run, rows=rows, records=[*run.records, failed]), size, REQUESTS) == [
        "full: 1 requests failed, the first: out of memory"
    ]
    last = run.records[-1]
    evicted = replace(last, cache=replace(last.cache, fallbacks=("page-0.png was evicted from the store",)))
    assert script.shortcomings(replace(run, records=[*run.records[:-1], evicted]), size, REQUESTS) == [
        "1 times something was computed that should have been held: give larger budgets"
    ]


def test_runners_without_warm_requests_have_no_numbers(script: ModuleType, measured: Measured) -> None:
    unknown = dict.fromkeys(measured.run.rows[0], None) | {"runner": "full"}
    bare = replace(measured.run, rows=[unknown], records=[])
    assert "| `full` | 0 | - | - | - | - | - | - | - | - |" in script.tables(bare)


def test_a_benchmark_that_fails_fails_the_script(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "measure", lambda *_: 70)
    assert script.main(["--model", "builtin", "--size", "1x4", "--requests", "1"]) == 1
    assert capsys.readouterr().out.endswith("## builtin, 1 page of 4 vision tokens\n\n**not measured**\n\n")


def test_pages_that_would_be_scaled_are_refused_before_anything_is_measured(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "measure", lambda *_: pytest.fail("too early"))
    assert script.main(["--shape", "qwen3-vl-2b", "--size", "1x10"]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith(
        "pages.py: a page of 10 vision tokens has 9,216 pixels, and the image processor of 'shape:qwen3"
    )
    assert err.endswith("use 64 to 16384 tokens\n")


def test_a_run_that_was_stopped_shows_what_there_is_and_goes_on(
    script: ModuleType,
    measured: Measured,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    shutil.copytree(measured.output, tmp_path, dirs_exist_ok=True)
    kept = tmp_path / "run" / "records.jsonl"
    lines = kept.read_text("utf-8").splitlines(keepends=True)
    kept.write_text("".join(lines[:20]), "utf-8")
    commands: list[tuple[list[str], float]] = []

    def stop(command: list[str], seconds: float, folder: Path) -> int:
        assert folder == tmp_path
        commands.append((command, seconds))
        return 75

    monkeypatch.setattr("page_runs.run_for", stop)
    told = ["--model", "builtin", "--size", "2x48", "--size", "1x24", "--seconds", "9"]
    assert script.main([*told, "--requests", str(REQUESTS), "--output", str(tmp_path)]) == 75
    ((command, seconds),) = commands
    assert (command[-1], seconds) == ("--resume", 9.0)
    assert not any(str(tmp_path) in part for part in command)  # the folder may be moved
    text = capsys.readouterr().out
    assert "**stopped after 20 of 32 answers**" in text
    assert text.endswith("## builtin, 1 page of 24 vision tokens\n\n**not measured**\n\n")


def test_a_benchmark_is_told_to_end_and_then_killed(
    script_of: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    class Slow:
        def __init__(self, command: list[str], **_: Any) -> None:
            done.append(" ".join(command))

        def __enter__(self) -> Slow:
            return self

        def __exit__(self, *_: object) -> None:
            done.append("left")

        def wait(self, timeout: float) -> int:
            done.append(f"waited {timeout:g} s")
            raise subprocess.TimeoutExpired("bench", timeout)

        def terminate(self) -> None:
            done.append("terminated")

        def kill(self) -> None:
            done.append("killed")

    monkeypatch.setattr(subprocess, "Popen", Slow)
    assert script_of("page_runs").run_for(["vlcache", "bench"], 9.0, Path("folder")) == 75
    assert done == ["vlcache bench", "waited 9 s", "terminated", "waited 5 s", "killed", "left"]


@pytest.mark.parametrize("size", ["1", "0x9", "1x", "axb", "1x2x3"])
def test_a_size_is_pages_and_tokens(script: ModuleType, size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        script.parse(["--size", size])
    assert caught.value.code == 2
    assert f"'{size}' is not PAGESxTOKENS, such as 8x1200" in capsys.readouterr().err


def test_the_warm_up_reaches_a_warm_request(script: ModuleType, tmp_path: Path) -> None:
    options = script.parse(["--shape", "qwen3-vl-8b", "--requests", "7"])
    told = sys.modules["page_runs"].bench_options(options, [script.Size(1, 1000), script.Size(8, 1200)], [])
    assert told[told.index("--warmup") + 1] == "9"
    assert told[told.index("--samples") + 1] == "15"
    assert told[told.index("--model") + 1] == "shape:qwen3-vl-8b"
