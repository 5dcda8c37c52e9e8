"""Calls with more than six arguments name them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST = 6  # positional arguments; one that is unpacked with a star counts once


def _crowded(tree: ast.AST) -> list[int]:
    """The lines of calls with too many positional arguments."""
    return [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Call) and len(node.args) > MOST]


@pytest.mark.parametrize("package", ["workloads", "runners", "reports", "vlcache_cli"])
def test_calls_with_more_than_six_arguments_name_them(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    found = [
        f"{file.relative_to(ROOT).as_posix()}:{line}"
        for file in files
        for line in _crowded(ast.parse(file.read_text("utf-8")))
    ]
    assert found == []


def test_crowded_calls_are_seen() -> None:
    source = "f(1, 2, 3, 4, 5, 6)\nf(1, 2, 3, 4, 5, *rest)\nf(1, 2, 3, 4, 5, 6, seven=7)\nf(1, 2, 3, 4, 5, 6, *rest)"
    assert _crowded(ast.parse(source)) == [4]
