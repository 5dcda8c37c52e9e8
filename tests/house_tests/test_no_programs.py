"""No module of the product starts another program: what a working folder or a configuration names is never run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("vlcache_cli", "reports", "runners", "workloads")
STARTERS = {"subprocess", "pty", "pexpect", "sh"}
STARTERS_OF_OS = ("system", "popen", "exec", "spawn", "posix_spawn", "fork", "startfile")


def started_in(source: str) -> Iterator[str]:
    """What a module uses that starts programs."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.partition(".")[0] in STARTERS)
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{name.name}" for name in node.names]
            yield from (name for name in names if name.partition(".")[0] in STARTERS or _of_os(name))
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and _of_os(f"{node.value.id}.{node.attr}")
        ):
            yield f"os.{node.attr}"


def _of_os(name: str) -> bool:
    module, _, function = name.partition(".")
    return module in ("os", "asyncio") and function.startswith((*STARTERS_OF_OS, "create_subprocess"))


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_starts_a_program(package: str) -> None:
    found = {
        file.relative_to(ROOT).as_posix(): names
        for file in (ROOT / package).rglob("*.py")
        if (names := [*started_in(file.read_text("utf-8"))])
    }
    assert not found


@pytest.mark.parametrize("source", ["import subprocess", "from os import execv", "import os\nos.system('ls')"])
def test_a_module_that_starts_a_program_is_found(source: str) -> None:
    assert [*started_in(source)]
