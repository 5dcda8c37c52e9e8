"""The TTFT table: what is measured is what was asked for, or a line says that it is not."""

from __future__ import annotations

import io
import re
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


@pytest.fixture(scope="module")
def script(script_of: Callable[[str], ModuleType]) -> ModuleType:
    return script_of("ttft")


@pytest.fixture(scope="module")
def measured(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    runs: list[Any] = []
    measure = script.measure

    def keep(*arguments: Any) -> Any:
        runs.append(measure(*arguments))
        return runs[-1]

    output = tmp_path_factory.mktemp("ttft")
    few = ["--requests", str(REQUESTS), "--warmup", "0", "--device-budget", "64MiB", "--host-budget", "64MiB"]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as text:
        patch.setattr(script, "measure", keep)
        arguments = ["--model", "builtin", "--device", "cpu", "--size", "2x48", *few, "--output", str(output)]
        code = script.main(arguments)
    return Measured(code, text.getvalue(), *runs)


def cells(text: str, first_head: str) -> list[list[str]]:
    """A table of Markdown without its heads."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first_head} "))
    body = lines[start + 2 : start + 2 + len(RUNNERS)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body]


def test_every_runner_has_a_line_about_warm_requests(measured: Measured) -> None:
    assert measured.code == 0, measured.text
    assert "## builtin, 2 pages of 48 vision tokens\n" in measured.text
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
    assert script.shortcomings(run, size) == []
    assert script.shortcomings(run, script.Size(2, 49)) == ["98 vision tokens were asked for, and measured were [96]"]
    failed = replace(run.records[-1], runner="full", error="out of memory", timing=None, cache=None)
    rows = [{**row, "failed": int(row["runner"] == "full")} for row in run.rows]
    assert script.shortcomings(replace(run, rows=rows, records=[*run.records, failed]), size) == [
        "full: 1 requests failed, the first: out of memory"
    ]
    last = run.records[-1]
    evicted = replace(last, cache=replace(last.cache, fallbacks=("page-0.png was evicted from the store",)))
    assert script.shortcomings(replace(run, records=[*run.records[:-1], evicted]), size) == [
        "1 times something was computed that should have been held: give larger budgets"
    ]


def test_runners_without_warm_requests_have_no_numbers(script: ModuleType, measured: Measured) -> None:
    unknown = dict.fromkeys(measured.run.rows[0], None) | {"runner": "full"}
    bare = replace(measured.run, rows=[unknown], records=[])
    assert "| `full` | 0 | - | - | - | - | - | - | - | - |" in script.tables(bare)


def test_a_benchmark_that_fails_fails_the_script(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "measure", lambda *_: None)
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


@pytest.mark.parametrize("size", ["1", "0x9", "1x", "axb", "1x2x3"])
def test_a_size_is_pages_and_tokens(script: ModuleType, size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        script.parse(["--size", size])
    assert caught.value.code == 2
    assert f"'{size}' is not PAGESxTOKENS, such as 8x1200" in capsys.readouterr().err


def test_the_warm_up_reaches_a_warm_request(script: ModuleType, tmp_path: Path) -> None:
    options = script.parse(["--shape", "qwen3-vl-8b", "--requests", "7"])
    told = script.bench_options(options, script.Size(8, 1200))
    assert told[told.index("--warmup") + 1] == "9"
    assert told[told.index("--samples") + 1] == "15"
    assert told[told.index("--model") + 1] == "shape:qwen3-vl-8b"
