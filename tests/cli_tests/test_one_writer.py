"""Two commands never write to one folder, and none writes into a folder that holds anything else."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.run.lock import WriterLock
from vlcache_cli.app import main

Bench = Callable[..., int]
FEW = ["--workload", "binding", "--samples", "2"]


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize("command", ["bench", "sweep", "profile"])
def test_the_second_command_on_a_folder_is_refused(
    command: str, bench: Bench, world: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("run").mkdir()
    with WriterLock(Path("run")):
        assert main([command, *FEW, "--output", "run"]) == 2
    assert one_line(capsys) == (
        "vlcache: run is in use: another vlcache writes to it; wait until that ends, or choose another --output"
    )
    assert world.loaded == 0


def test_a_command_that_starts_while_another_loads_its_model_is_refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load = sys.modules["runners.models.load"]
    codes: list[int] = []

    def load_model(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(load, "load_model", original)
        codes.append(bench("--output", "run"))
        return original(*arguments, **options)

    original = vars(load)["load_model"]
    monkeypatch.setattr(load, "load_model", load_model)
    assert bench("--output", "run") == 0
    assert codes == [2]
    assert "run is in use" in capsys.readouterr().err.splitlines()[0]


def test_two_commands_do_not_continue_one_run(bench: Bench, world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    world.stop_with, world.stop_after = KeyboardInterrupt(), 5
    assert bench("--output", "run") == 130
    capsys.readouterr()
    with WriterLock(Path("run")):
        assert bench("--output", "run", "--resume") == 2
    assert "run is in use" in one_line(capsys)
    assert len((Path("run") / "records.jsonl").read_text().splitlines()) == 5
    world.stop_with = None
    assert bench("--output", "run", "--resume") == 0
    assert sorted(path.name for path in Path("run").iterdir()) == ["manifest.json", "records.jsonl"]


@pytest.mark.parametrize("name", ["records.jsonl", "asked.jsonl", "manifest.json", "media"])
def test_a_planted_link_is_neither_written_nor_cut(
    name: str, bench: Bench, world: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine").write_text("precious")
    Path("run").mkdir()
    (Path("run") / name).symlink_to(Path("mine").resolve())
    assert bench("--output", "run") == 2
    assert "choose another --output" in one_line(capsys)
    assert Path("mine").read_text() == "precious"


def test_a_run_is_not_continued_through_a_planted_link(
    bench: Bench, world: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    world.stop_with, world.stop_after = KeyboardInterrupt(), 5
    bench("--output", "run")
    capsys.readouterr()
    world.stop_with = None
    Path("run/records.jsonl").rename("mine")
    Path("run/records.jsonl").symlink_to(Path("mine").resolve())
    before = Path("mine").read_bytes()
    assert bench("--output", "run", "--resume") == 2
    assert "run/records.jsonl: it is a symbolic link" in one_line(capsys)
    assert Path("mine").read_bytes() == before
