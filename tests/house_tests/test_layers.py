"""Imports run one way, and heavy libraries stay in their rooms: read from the sources, nothing is run."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
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
BOUNDS = "workloads/datasets/bounds.py"
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


def _module_name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _import_graph() -> dict[str, set[str]]:
    """Which modules of the four packages each module imports; TYPE_CHECKING and function bodies count, too."""
    files = {_module_name(file): file for package in LAYERS for file in (ROOT / package).rglob("*.py")}
    graph: dict[str, set[str]] = {}
    for module, file in files.items():
        named: set[str] = set()
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                whole = {f"{node.module}.{alias.name}" for alias in node.names}
                named |= {name if name in files else str(node.module) for name in whole}
        graph[module] = named & files.keys() - {module}
    return graph


def _between_children(graph: Mapping[str, Set[str]], room: str) -> dict[str, set[str]]:
    """The graph of a room's folders and files: an arrow where a module of one imports a module of another."""
    children: dict[str, set[str]] = defaultdict(set)
    for module, imported in graph.items():
        for other in imported:
            if module.startswith(f"{room}.") and other.startswith(f"{room}."):
                here, there = (name.removeprefix(f"{room}.").split(".")[0] for name in (module, other))
                children[here] |= {there} - {here}
    return children


def _circle(graph: Mapping[str, Set[str]]) -> list[str]:
    """A circle of a graph, its first node repeated at the end; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle
    return []


def test_no_import_circle_in_the_whole_tree() -> None:
    assert _circle(_import_graph()) == []


@pytest.mark.parametrize("room", ["runners.engine", "reports"])
def test_no_import_runs_up_between_the_children_of_a_room(room: str) -> None:
    children = _between_children(_import_graph(), room)
    assert len(children) > 4
    assert _circle(children) == []


def test_only_the_command_line_knows_the_gate() -> None:
    importing = {module for module, imported in _import_graph().items() if any(map(_is_of_the_gate, imported))}
    outside = {module for module in importing if not (_is_of_the_gate(module) or module.startswith("vlcache_cli."))}
    assert importing
    assert outside == set()


def _is_of_the_gate(module: str) -> bool:
    return f"{module}.".startswith("reports.gate.")


def test_circles_are_found_between_modules_and_between_folders() -> None:
    assert _circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert set(_circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}
    modules = {"r.x.one": {"r.y"}, "r.y": {"r.x.two"}, "r.x.two": set(), "other": {"r.y"}}
    assert _circle(modules) == []
    assert set(_circle(_between_children(modules, "r"))) == {"x", "y"}
    graph = _import_graph()
    assert "runners.engine.attention.base" in graph["runners.engine.attention.backends"], "imported for its types alone"


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
    """Apart from the bounds of Parquet files, which `datasets` reads with pyarrow: they stand in its metadata."""
    breaking = [found for found in _breaking(package, TABLES) if not found.startswith(f"{BOUNDS}:")]
    assert breaking == []
    assert _breaking(package, {"pandas"}) == []


@pytest.mark.parametrize("package", ["workloads", "vlcache_cli"])
def test_nothing_slow_is_loaded_before_it_is_needed(package: str) -> None:
    assert _breaking(package, SLOW, at_load_only=True) == []


def test_of_runners_only_those_for_lm_eval_load_it_and_none_draws_or_fetches_data() -> None:
    found = [found for found in _imports_of("runners") if found.top in {"lm_eval", "datasets", "matplotlib"}]
    assert [str(entry) for entry in found if not entry.file.startswith("runners/lm_eval/")] == []
    assert {entry.top for entry in found} == {"lm_eval"}


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
