"""Imports run one way, and heavy libraries stay in their rooms: read from the sources, nothing is run."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = ("workloads", "runners", "reports", "vlcache_cli")  # from the bottom up
TORCH = {"torch", "torchvision", "transformers", "safetensors", "lm_eval"}
TASKS = (
    "lm_eval.tasks",
    "lm_eval.api.task",
    "lm_eval.api.instance",
    "lm_eval.models.utils",
)  # what of lm-eval loads no torch
TABLES = {"pandas", "pyarrow"}
SLOW = TORCH | TABLES | {"scipy", "matplotlib", "datasets"}


@dataclass(frozen=True)
class Import:
    """One imported module, and whether it is loaded with the file that names it."""

    file: str
    line: int
    module: str
    at_load: bool

    @property
    def top(self) -> str:
        """The package it belongs to."""
        return self.module.split(".")[0]

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def _imports(tree: ast.AST, file: str, at_load: bool = True) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (Import(file, node.lineno, alias.name, at_load) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} imports relatively"
            yield from (Import(file, node.lineno, f"{node.module}.{alias.name}", at_load) for alias in node.names)
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from _imports(node, file, at_load and not inside)


def _imports_of(package: str) -> list[Import]:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files, f"{package} is empty"
    return [
        found
        for file in files
        for found in _imports(ast.parse(file.read_text("utf-8")), file.relative_to(ROOT).as_posix())
    ]


def _breaking(package: str, forbidden: set[str], at_load_only: bool = False) -> list[str]:
    return [
        str(found) for found in _imports_of(package) if found.top in forbidden and (found.at_load or not at_load_only)
    ]


@pytest.mark.parametrize("package", LAYERS)
def test_imports_run_down_the_house(package: str) -> None:
    assert _breaking(package, set(LAYERS[LAYERS.index(package) + 1 :])) == []


def test_reports_know_of_runners_only_the_records() -> None:
    allowed = ("runners.records", "runners.analysis.records")
    found = [found for found in _imports_of("reports") if found.top == "runners"]
    assert [str(entry) for entry in found if not entry.module.startswith(allowed)] == []


@pytest.mark.parametrize("package", ["workloads", "reports", "vlcache_cli"])
def test_only_runners_know_torch(package: str) -> None:
    known = TASKS if package == "workloads" else ()
    found = [found for found in _imports_of(package) if found.top in TORCH and not found.module.startswith(known)]
    assert [str(entry) for entry in found] == []


def test_the_tasks_of_lm_eval_load_without_torch() -> None:
    program = f"import sys, {', '.join(TASKS)}; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert run.stdout.strip() == "False"


@pytest.mark.parametrize("package", ["workloads", "runners", "vlcache_cli"])
def test_only_reports_know_pandas(package: str) -> None:
    assert _breaking(package, TABLES) == []


@pytest.mark.parametrize("package", ["workloads", "vlcache_cli"])
def test_nothing_slow_is_loaded_before_it_is_needed(package: str) -> None:
    assert _breaking(package, SLOW, at_load_only=True) == []


def test_the_contract_and_the_records_load_without_torch() -> None:
    """What other rooms import of ``runners``, and every workload, must stay light."""
    program = (
        "import sys, runners.base, runners.records, runners.analysis.records, workloads.base\n"
        "from workloads.registry import WORKLOADS, load_workload\n"
        "for name in WORKLOADS: load_workload(name)\n"
        f"print(sorted({SLOW!r} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert run.stdout.strip() == "[]"


def test_the_reader_of_imports_sees_them_all() -> None:
    source = """
import a.b
from c import d
def f():
    import e
class G:
    from h import i
if TYPE_CHECKING:
    import j
"""
    found = [(entry.module, entry.at_load) for entry in _imports(ast.parse(source), "x.py")]
    assert found == [("a.b", True), ("c.d", True), ("e", False), ("h.i", True)]
