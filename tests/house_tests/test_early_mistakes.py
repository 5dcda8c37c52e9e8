"""A mistake in names and files is told before torch and pandas are imported, which takes seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LATE = ("torch", "pandas", "pyarrow", "transformers", "scipy", "matplotlib", "datasets")

FILES = {
    "broken.jsonl": '{"prompt": "What?", ',
    "wrong-field.jsonl": '{"prompt": "What?", "answer": "A", "imagse": ["a.png"]}\n',
    "no-picture.jsonl": '{"prompt": "What?", "image_files": ["nowhere.png"], "answer": "A"}\n',
    "broken.yaml": "path: [",
    "wrong-field.yaml": "pth: owner/name\n",
    "wrong-value.yaml": "samples: many\n",
    "policy.yaml": "margins: 1\n",
    "run/manifest.json": '{"schema": 0}',
    "torn/manifest.json": '{"schema": ',
    "empty/other.txt": "",
}
"""What lies in the working folder; ``run`` and ``torn`` are folders of runs that cannot be used."""

MEASURING = {
    "workload unknown": (["--workload", "bindng"], "unknown workload 'bindng': did you mean 'binding'?"),
    "requests missing": (["--workload", "nowhere.jsonl"], "nowhere.jsonl"),
    "requests broken": (["--workload", "broken.jsonl"], "broken.jsonl, line 1"),
    "requests with a wrong field": (["--workload", "wrong-field.jsonl"], "wrong-field.jsonl, line 1"),
    "requests without their picture": (["--workload", "no-picture.jsonl"], "nowhere.png"),
    "data set missing": (["--workload", "nowhere.yaml"], "nowhere.yaml"),
    "data set broken": (["--workload", "broken.yaml"], "broken.yaml"),
    "data set with a wrong field": (["--workload", "wrong-field.yaml"], "wrong-field.yaml"),
    "runner unknown": (["--runner", "ful"], "unknown runner 'ful': did you mean 'full'?"),
    "runner without a class": (["--runner", "own:1"], "package.module:Class"),
    "runner with broken options": (["--runner", "cacheblend@score"], "name@option=value"),
    "model unknown": (["--model", "bultin"], "unknown model 'bultin': did you mean 'builtin'?"),
    "setting wrong": (["--samples", "many"], "--samples"),
    "configuration missing": (["--config", "nowhere.yaml"], "nowhere.yaml"),
    "configuration broken": (["--config", "broken.yaml"], "broken.yaml"),
    "configuration with a wrong value": (["--config", "wrong-value.yaml"], "wrong-value.yaml: samples"),
    "preset unknown": (["--preset", "smok"], "unknown preset 'smok': did you mean 'smoke'?"),
    "folder in use": (["--output", "empty"], "empty is not empty"),
}
COMPARING = {
    "reference unknown": (["--reference", "fll"], "fll"),
    "profile missing": (["--profile", "nowhere.yaml"], "nowhere.yaml: there is no such file"),
    "run to resume missing": (["--output", "nowhere", "--resume"], "nowhere holds no run"),
    "run to resume of another schema": (["--output", "run", "--resume"], "has schema 0"),
    "run to resume broken": (["--output", "torn", "--resume"], "torn/manifest.json"),
}
JUDGING = {
    "run missing": (["nowhere"], "nowhere holds no run"),
    "run of another schema": (["run"], "has schema 0"),
    "run broken": (["torn"], "torn/manifest.json"),
}
GATING = {
    "policy missing": (["run", "--policy", "nowhere.yaml"], "nowhere.yaml"),
    "policy broken": (["run", "--policy", "broken.yaml"], "broken.yaml"),
    "policy with a wrong field": (["run", "--policy", "policy.yaml"], "policy.yaml"),
    "kind unknown": (["run", "--allow-different", "modl"], "unknown kind in --allow-different 'modl'"),
}
REPORTING = {
    "form unknown": (["run", "--format", "htm"], "unknown --format 'htm'"),
    "margin wrong": (["run", "--margin", "2"], "--margin must be"),
}
ASKED_FOR = {
    "bench": MEASURING | COMPARING,
    "sweep": MEASURING | {name: case for name, case in COMPARING.items() if name != "reference unknown"},
    "profile": {name: case for name, case in MEASURING.items() if not name.startswith(("configuration", "preset"))},
    "gate": JUDGING | GATING,
    "report": JUDGING | REPORTING,
}
CASES = {f"{command}: {name}": (command, *case) for command, cases in ASKED_FOR.items() for name, case in cases.items()}

PROGRAM = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from vlcache_cli.app import main

late, cases = json.load(sys.stdin)
done = {}
for name, arguments in cases.items():
    out, err, before = io.StringIO(), io.StringIO(), set(sys.modules)
    with redirect_stdout(out), redirect_stderr(err):
        code = main(arguments)
    done[name] = [code, out.getvalue(), err.getvalue(), sorted(set(late) & (set(sys.modules) - before))]
print(json.dumps(done))
"""


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Exit code, output, errors and what was imported late, of every case, one after the other in one process."""
    folder = tmp_path_factory.mktemp("mistakes")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    arguments = {name: [command, *rest] for name, (command, rest, _) in CASES.items()}
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=folder,
        input=json.dumps([LATE, arguments]),
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    done: dict[str, Any] = json.loads(run.stdout)
    return done


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_told_before_anything_slow_is_imported(refused: dict[str, Any], name: str) -> None:
    code, out, err, late = refused[name]
    assert (code, out) == (2, "")
    assert err.startswith("vlcache: ")
    assert err.count("\n") == 1
    assert CASES[name][2] in err
    assert late == []
