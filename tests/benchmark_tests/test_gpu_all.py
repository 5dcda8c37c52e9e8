"""One command for a day with a GPU: it plans by cost, goes on after failures and kills, and tells what passed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[2] / "docs" / "benchmarks"
CHILD = "import subprocess, sys; print('begun', flush=True); subprocess.run([sys.executable, '-c', {!r}])"
LIVES = "import pathlib, os, time; pathlib.Path({!r}).write_text(str(os.getpid())); time.sleep(60)"


@pytest.fixture(scope="module")
def script(script_of: Callable[[str], ModuleType]) -> ModuleType:
    return script_of("gpu_all")


@pytest.fixture
def part_of(script: ModuleType) -> Callable[..., Any]:
    """A part that is a line of Python."""

    def make(name: str, code: str = "", estimate_s: float = 1, limit_s: float = 20, **more: Any) -> Any:
        return script.Part(name, "something", ("-c", code, "FOLDER", "LIMIT"), estimate_s, limit_s, **more)

    return make


@pytest.fixture
def parts(script: ModuleType, part_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """Parts in place of the real ones, on a machine with a GPU."""
    about = {"device": "H1", "driver": "580", "versions": {"python": "3.12", "triton": None}}

    def replace(*given: Any, **codes: str) -> list[Any]:
        made = [*given, *(part_of(name, code, markdown=name.endswith("md")) for name, code in codes.items())]
        monkeypatch.setattr(script, "PARTS", made)
        monkeypatch.setattr(script.machine, "has_cuda", lambda: True)
        monkeypatch.setattr(script.machine, "describe", lambda rehearsal: about)
        monkeypatch.setattr(script, "source_commit", lambda: "c0ffee")
        return made

    return replace


def ends(folder: Path) -> dict[str, str]:
    """How the parts ended, by the report for machines."""
    return {part["name"]: part["ended"] for part in json.loads((folder / "gpu.json").read_text("utf-8"))["parts"]}


def gone(process: int) -> bool:
    """Whether a process ends within a while."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            status = Path(f"/proc/{process}/stat").read_text("utf-8").rsplit(")", 1)[1].split()[0]
        except OSError:
            return True
        if status == "Z":
            return True
        time.sleep(0.02)
    return False


def test_without_a_gpu_one_line_says_so(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert script.main([str(tmp_path / "out")]) == 2
    line = "gpu_all.py: no CUDA device: torch sees none; run this on a machine with one, or with --rehearse\n"
    assert capsys.readouterr() == ("", line)
    assert not (tmp_path / "out").exists()


def test_missing_packages_are_told_before_anything_is_begun(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(script.machine, "NEEDED", {"no_such_module": "blake4", "json": "json", "nor_this": "pedantic"})
    assert script.main([str(tmp_path / "out"), "--rehearse"]) == 2
    line = f"gpu_all.py: blake4, pedantic missing: install them into this Python ({sys.executable})\n"
    assert capsys.readouterr() == ("", line)
    assert not (tmp_path / "out").exists()


def test_it_goes_on_after_failures_and_limits(
    script: ModuleType,
    parts: Callable[..., list[Any]],
    part_of: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    lives = tmp_path / "lives"
    slow = part_of("slow", CHILD.format(LIVES.format(str(lives))), limit_s=5)
    parts(
        slow,
        good="import sys, runners; print('fine', sys.argv)",
        bad="import sys; print('half'); sys.exit('the reason')",
        table_md="print('## a\\n\\n| b |')",
    )
    started = time.monotonic()
    assert script.main([str(tmp_path / "out")]) == 1
    assert time.monotonic() - started < 30
    assert gone(int(lives.read_text()))
    assert ends(tmp_path / "out") == {
        "slow": "stopped at its limit of 5 s",
        "good": "passed",
        "bad": "exit code 1",
        "table_md": "passed",
    }
    printed, text = capsys.readouterr().out, (tmp_path / "out" / "gpu.md").read_text("utf-8")
    assert "**bad: exit code 1**\n\n```text\nthe reason\n```" in printed
    assert "## bad: something\n\n```text\nhalf\n```\n\n**bad: exit code 1**\n\n```text\nthe reason\n```" in text
    assert "```text\nbegun\n```\n\n**slow: stopped at its limit of 5 s**" in text
    assert "```text\nfine ['-c', 'FOLDER', '5']\n```" in text  # the limit less what is needed to end
    assert "## table_md: something\n\n### a\n\n| b |\n" in text
    assert "- device: H1, driver 580\n- versions: python 3.12\n- source: c0ffee\n- begun: 2" in text
    assert "- command: `python docs/benchmarks/gpu_all.py FOLDER`\n" in text
    assert str(tmp_path) not in text
    for line in ("| good | passed | ", "| bad | exit code 1 | "):
        assert line in printed
        assert line in text
    assert (tmp_path / "out" / "parts" / "bad.err").read_text("utf-8") == "the reason\n"
    assert (tmp_path / "out" / "parts" / "bad.out").read_text("utf-8") == "half\n"


def test_the_plan_takes_what_fits_in_the_order_of_worth(
    script: ModuleType, parts: Callable[..., list[Any]], part_of: Callable[..., Any], tmp_path: Path
) -> None:
    made = [
        part_of("first", estimate_s=100),
        part_of("large", estimate_s=500),
        part_of("measured", estimate_s=500),
        part_of("divisible", estimate_s=500, least_s=50),
        part_of("last", estimate_s=10),
    ]
    ledger = script.Ledger(tmp_path, {"measured": 90.0})
    planned = script.plan(made, ledger, left_s=300)
    assert [(item.part.name, item.seconds, item.reason) for item in planned] == [
        ("first", 100, "estimated"),
        ("large", 0, "left out: 500 s estimated, 200 s left"),
        ("measured", 90, "measured"),
        ("divisible", 110, "as much as fits, of 500 s estimated"),
        ("last", 0, "left out: 10 s estimated, 0 s left"),
    ]
    text = script.describe(planned, 5)
    assert text.startswith("# Plan for 5 minutes\n\n| part | shows | seconds | |\n")
    assert "| large | something | - | left out: 500 s estimated, 200 s left |\n| measured | something | 90 |" in text


def test_what_no_time_is_left_for_is_listed_and_done_the_next_time(
    script: ModuleType,
    parts: Callable[..., list[Any]],
    part_of: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    parts(part_of("short", estimate_s=1), part_of("long", estimate_s=500), part_of("longer", estimate_s=900))
    assert script.main([str(tmp_path), "--minutes", "0.2"]) == 0
    assert ends(tmp_path) == {"short": "passed"}
    assert "| long | left out: 500 s estimated, 1" in capsys.readouterr().out
    left_out = json.loads((tmp_path / "gpu.json").read_text("utf-8"))["left_out"]
    assert [part["name"] for part in left_out] == ["long", "longer"]
    assert script.main([str(tmp_path), "--minutes", "10"]) == 0
    assert ends(tmp_path) == {"short": "passed", "long": "passed"}
    assert "| short | something | - | done: passed |" in capsys.readouterr().out


def test_a_part_is_stopped_when_no_time_is_left_and_goes_on_the_next_time(
    script: ModuleType, parts: Callable[..., list[Any]], part_of: Callable[..., Any], tmp_path: Path
) -> None:
    goes_on = (
        "import pathlib, sys, time; mark = pathlib.Path(sys.argv[1]) / 'mark'; "
        "mark.exists() and sys.exit(print('went on')); mark.touch(); time.sleep(60)"
    )
    late, _ = parts(part_of("late", goes_on), part_of("partial", "import sys; sys.exit(75)", least_s=1))
    result = script.run(late, script.Ledger(tmp_path, {}), 2.0, print)
    assert (result.status, result.ended) == ("unfinished", f"stopped after {result.seconds:.0f} s: no time was left")
    assert script.main([str(tmp_path)]) == 1
    assert ends(tmp_path)["late"] == "passed"
    assert ends(tmp_path)["partial"].startswith("a part of it, in ")
    assert (tmp_path / "parts" / "late.out").read_text() == "went on\n"
    for name in ("partial", "late"):
        status = json.loads((tmp_path / "parts" / f"{name}.json").read_text("utf-8"))["status"]
        assert status == ("unfinished" if name == "partial" else "passed")


KILLED = """
import sys
sys.path[:0] = [{scripts!r}]
import gpu_all
from gpu_day.parts import Part
gpu_all.PARTS = [Part(name, "something", ("-c", code, "FOLDER"), 1, 50) for name, code in {codes!r}]
gpu_all.machine.has_cuda = lambda: True
gpu_all.machine.describe = lambda rehearsal: {{"device": "H1", "driver": "580", "versions": {{"python": "3.12"}}}}
gpu_all.source_commit = lambda: "c0ffee"
sys.exit(gpu_all.main([{folder!r}]))
"""


def test_after_a_kill_the_same_command_keeps_what_is_done_and_goes_on(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count = "import pathlib, sys; (pathlib.Path(sys.argv[1]) / 'runs').open('a').write('x'); "
    lives = tmp_path / "lives"
    once = f"import pathlib; pathlib.Path({str(lives)!r}).exists() or exec({LIVES.format(str(lives))!r})"
    codes = [("one", count), ("two", count + once), ("three", count)]
    out = tmp_path / "out"
    code = KILLED.format(scripts=str(SCRIPTS), codes=codes, folder=str(out))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 60
        while not (lives.is_file() and lives.read_text()) and time.monotonic() < until:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    assert gone(int(lives.read_text()))  # what a part began does not outlive the command
    assert ends(out) == {"one": "passed"}
    assert json.loads((out / "parts" / "two.json").read_text("utf-8"))["status"] == "begun"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0
    assert "| one | something | - | done: passed |\n| two | something | 1 | estimated |" in done.stdout
    assert ends(out) == {"one": "passed", "two": "passed", "three": "passed"}
    runs = {name: (out / "work" / name / "runs").read_text() for name, _ in codes}
    assert runs == {"one": "x", "two": "xx", "three": "x"}


def test_parts_can_be_chosen_and_the_report_keeps_the_others(
    script: ModuleType, parts: Callable[..., list[Any]], tmp_path: Path
) -> None:
    parts(one="print(1)", two="print(2)", twofold="print(3)", broken="raise SystemExit(1)")
    assert script.main([str(tmp_path), "--only", "two"]) == 0
    assert script.main([str(tmp_path), "--only", "one", "broken"]) == 1
    text = (tmp_path / "gpu.md").read_text("utf-8")
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == ["## Parts", *(f"## {name}: something" for name in ("one", "two", "twofold", "broken"))]


def test_what_failed_is_repeated_when_asked_for(
    script: ModuleType, parts: Callable[..., list[Any]], tmp_path: Path
) -> None:
    code = "import pathlib, sys; (pathlib.Path(sys.argv[1]) / 'runs').open('a').write('x'); sys.exit({})"
    parts(good=code.format(0), bad=code.format(3))
    assert [script.main([str(tmp_path), *more]) for more in ([], [], ["--retry"])] == [1, 0, 1]
    assert (tmp_path / "work" / "good" / "runs").read_text() == "x"
    assert (tmp_path / "work" / "bad" / "runs").read_text() == "xx"


def test_a_part_whose_command_changed_is_run_again(
    script: ModuleType, parts: Callable[..., list[Any]], tmp_path: Path
) -> None:
    parts(one="print(1)")
    assert script.main([str(tmp_path)]) == 0
    (part,) = parts(one="print(2)")
    assert script.Ledger(tmp_path, {}).result(part) is None
    assert script.main([str(tmp_path)]) == 0
    assert (tmp_path / "parts" / "one.out").read_text() == "2\n"


def test_a_plan_alone_runs_and_writes_nothing(
    script: ModuleType, parts: Callable[..., list[Any]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    parts(one="raise SystemExit(1)")
    assert script.main([str(tmp_path / "out"), "--plan"]) == 0
    assert "| one | something | 1 | estimated |" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_seconds_of_another_run_are_planned_with(
    script: ModuleType, parts: Callable[..., list[Any]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    parts(one="", two="raise SystemExit(1)")
    assert script.main([str(tmp_path)]) == 1
    costs = json.loads((tmp_path / "gpu.json").read_text("utf-8"))
    costs["parts"][0]["seconds"] = 77.0
    (tmp_path / "costs.json").write_text(json.dumps(costs))
    capsys.readouterr()
    assert script.main([str(tmp_path / "new"), "--plan", "--costs", str(tmp_path / "costs.json")]) == 0
    out = capsys.readouterr().out
    assert "| one | something | 77 | measured |" in out
    assert "| two | something | 1 | estimated |" in out


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"parts": 3}', '{"parts": [{"name": "a", "status": "passed"}]}'])
def test_costs_that_are_none_are_refused_in_a_line(
    script: ModuleType,
    parts: Callable[..., list[Any]],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    text: str,
) -> None:
    parts(one="")
    (tmp_path / "costs.json").write_text(text)
    assert script.main([str(tmp_path / "new"), "--costs", str(tmp_path / "costs.json")]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"gpu_all.py: {tmp_path / 'costs.json'} is no gpu.json of an earlier run: ")


def test_a_folder_of_another_machine_is_refused(
    script: ModuleType,
    parts: Callable[..., list[Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    parts(one="")
    assert script.main([str(tmp_path)]) == 0
    monkeypatch.setattr(script.machine, "describe", lambda rehearsal: {"device": "H2", "driver": "1", "versions": {}})
    capsys.readouterr()
    assert script.main([str(tmp_path)]) == 2
    line = f"gpu_all.py: {tmp_path} has results of another device and versions: give another folder\n"
    assert capsys.readouterr() == ("", line)


def test_a_python_that_cannot_import_vlcache_is_refused(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "typer.py").write_text("raise ImportError('typer is too old')")
    monkeypatch.setattr(sys.modules["gpu_day.running"], "ROOT", f"{tmp_path}{os.pathsep}{SCRIPTS.parents[1]}")
    assert script.main([str(tmp_path / "out"), "--rehearse"]) == 2
    line = "gpu_all.py: this Python cannot import vlcache: ImportError: typer is too old\n"
    assert capsys.readouterr() == ("", line)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf", "nine"])
def test_minutes_are_a_positive_number(
    script: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path, minutes: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        script.main([str(tmp_path), f"--minutes={minutes}"])
    assert caught.value.code == 2
    assert f"'{minutes}' is no number of minutes, such as 9" in capsys.readouterr().err


def test_an_unknown_part_is_refused(script: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert script.main([str(tmp_path), "--only", "kernel", "nothing"]) == 2
    assert "no part is called nothing; there are tests, ttft-" in capsys.readouterr().err


def test_the_real_parts_can_be_run_and_come_in_the_order_of_their_worth(
    script: ModuleType, script_of: Callable[[str], ModuleType]
) -> None:
    names = [part.name for part in script.PARTS]
    first = ["tests", "ttft-qwen2.5-vl-7b", "fair-4000", "paper-qwen2.5-vl-7b", "kernels-qwen2.5-vl-7b"]
    assert names[:6] == [*first, "ttft-qwen3-vl-8b"]
    assert len(set(names)) == len(names)
    assert script.PARTS[0].limit_s < 120
    for part in (*script.PARTS, *script.REHEARSAL):
        assert (part.least_s or part.estimate_s) <= part.estimate_s < part.limit_s
        assert script_file(part).is_file()
    planned = script.plan(script.PARTS, script.Ledger(Path("nowhere"), {}), 9 * 60)
    assert [item.part.name for item in planned if item.runs][:5] == first
    assert sum(item.seconds for item in planned) <= 9 * 60
    tables = [script_of("ttft").parse((*part.arguments[1:-1], "9")) for part in parts_of(script, "ttft")]
    assert [(options.model, str(options.size[0])) for options in tables[:2]] == [
        ("shape:qwen2.5-vl-7b", "1 page of 10,000 vision tokens"),
        ("shape:qwen3-vl-8b", "1 page of 10,000 vision tokens"),
    ]
    paper = [script_of("paper").parse((*part.arguments[1:-1], "9")) for part in parts_of(script, "paper")]
    assert [(options.model, options.size) for options in paper[:2]] == [
        ("shape:qwen2.5-vl-7b", None),
        ("shape:qwen3-vl-8b", None),
    ]
    assert {options.device for options in (*tables[:3], *paper[:2])} == {"cuda"}
    fair = [script_of("full_vs_transformers").parse(part.arguments[1:]) for part in parts_of(script, "fair")]
    assert [(options.tokens, options.at_most) for options in fair[:2]] == [(4000, 1.05), (1000, 1.05)]
    shapes = [part.arguments[2] for part in parts_of(script, "kernels")]
    assert shapes == [*script_of("gpu").SHAPES]


def script_file(part: Any) -> Path:
    """The script that a part runs."""
    return SCRIPTS.parents[1] / str(part.arguments[0])


def parts_of(script: ModuleType, kind: str) -> list[Any]:
    """The parts that are called so, of the rehearsal last."""
    return [part for part in (*script.PARTS, *script.REHEARSAL) if part.name.startswith(f"{kind}-")]


def test_a_rehearsal_describes_this_machine(script: ModuleType) -> None:
    about = script.machine.describe(rehearsal=True)
    assert about["driver"] is None
    assert about["device"].endswith("a rehearsal: no figure counts")
    assert about["versions"]["torch"]
    assert script.machine.missing() == []


def test_gpu_tests_are_found_and_without_pytest_one_line_says_so(
    script_of: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tests = script_of("gpu_tests")
    assert {"tests/engine_tests/test_gpu.py", "tests/runner_tests/test_memory.py"} <= set(tests.marked())
    monkeypatch.setattr(tests, "find_spec", lambda name: None)
    assert tests.main([]) == 2
    line = "gpu_tests.py: pytest and hypothesis missing: the GPU tests were not run\n"
    assert capsys.readouterr() == ("", line)


def test_every_failure_of_a_gpu_test_is_told_at_once(
    script_of: Callable[[str], ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    class Report:
        nodeid, duration, longreprtext = "test_a.py::test_b", 1.26, "it is 3, not 4"

        def __init__(self, when: str, outcome: str) -> None:
            self.when, self.outcome = when, outcome
            self.passed, self.failed = outcome == "passed", outcome == "failed"

    tell = script_of("gpu_tests").Tell()
    for when, outcome in (("setup", "passed"), ("call", "failed"), ("teardown", "passed"), ("setup", "failed")):
        tell.pytest_runtest_logreport(Report(when, outcome))
    assert capsys.readouterr().out == "\nfailed test_a.py::test_b (1.3 s)\nit is 3, not 4\n" * 2
