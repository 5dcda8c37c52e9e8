"""A method outside the tree, as docs/adding-a-method.md has it: a row in the table, and the laws with one command."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vlcache_cli.app import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "adding-a-method.md").read_text("utf-8")
SPEC = "my_methods.value_norm:ValueNorm"
FEW = ["--workload", "binding", "--samples", "3", "--warmup", "0", "--host-budget", "0", "--runner", "full"]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The method that the page shows, in a package that Python finds."""
    shown = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert shown is not None
    package = tmp_path / "my-methods" / "my_methods"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    file = package / "value_norm.py"
    file.write_text(shown[1])
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.chdir(tmp_path)
    yield file
    for name in [name for name in sys.modules if name.startswith("my_methods")]:
        del sys.modules[name]


def test_a_method_written_from_the_page_is_a_row_of_the_table(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", *FEW, "--runner", f"{SPEC}@ratio=0.1,name=norms", "--output", "run", "--wide"]
    assert main(arguments) == 0
    assert re.search(r"^norms +\d+\.\d ", capsys.readouterr().out, re.MULTILINE)
    manifest = json.loads(Path("run/manifest.json").read_text())
    described = manifest["runners"][1]
    assert (described["label"], described["method"]) == ("norms", SPEC)
    assert described["options"] == {"donor": "previous", "ratio": 0.1}
    assert described["source"]["file"] == str(file)
    assert re.fullmatch("[0-9a-f]{64}", described["source"]["sha256"])
    assert "source" not in manifest["runners"][0]

    assert main([*arguments, "--resume"]) == 0
    file.write_text(f"{file.read_text()}# changed\n")
    capsys.readouterr()
    assert main([*arguments, "--resume"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("vlcache: cannot resume run: source.norms was ")
    assert told.count("\n") == 1


def test_a_sweep_runs_it_at_every_ratio(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", *FEW, "--runner", SPEC, "--recompute-ratio", "0,1", "--output", "run", "--json"]) == 0
    points = json.loads(capsys.readouterr().out)["sweep"]["points"]
    assert [point["runner"] for point in points] == ["full", f"{SPEC}@ratio=0", f"{SPEC}@ratio=1"]


@pytest.mark.parametrize("command", ["bench", "sweep", "profile"])
def test_what_python_does_not_find_is_one_line(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([command, "--runner", "no_such_package.mine:Mine"]) == 2
    assert capsys.readouterr().err == (
        "vlcache: runner 'no_such_package.mine:Mine': Python finds no module 'no_such_package': install its package "
        "beside vlcache (pip install -e FOLDER), or name its folder in PYTHONPATH\n"
    )


def test_the_laws_run_on_it_with_the_command_of_the_page(file: Path) -> None:
    command = f"python -m pytest tests/engine_tests/test_laws.py --method {SPEC}"
    assert command in PAGE
    _, *arguments = command.split()
    paths = [str(ROOT), str(file.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, *arguments, "-q", "-p", "no:cacheprovider", "-k", "[llava- and executed"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
