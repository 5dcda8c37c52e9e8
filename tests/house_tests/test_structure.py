"""The map of the house names every room."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("vlcache_cli", "reports", "runners", "workloads")


def test_every_module_has_a_line_in_the_map_and_every_line_a_module() -> None:
    text = (ROOT / "docs" / "structure.md").read_text("utf-8")
    modules = {
        file.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
        if file.name != "__init__.py"
    }
    first_cells = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")}
    named = {cell for cell in first_cells if cell.endswith(".py")}
    assert named == modules
