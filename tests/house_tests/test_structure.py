"""The map of the house is as the modules are."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_map_is_what_its_command_writes() -> None:
    written = runpy.run_path(str(ROOT / "docs" / "structure.py"))["render"]()
    assert (ROOT / "docs" / "structure.md").read_text("utf-8") == written, "run python docs/structure.py"


def test_the_map_names_modules_of_every_package() -> None:
    text = (ROOT / "docs" / "structure.md").read_text("utf-8")
    for module in ("vlcache_cli/commands/", "reports/run/", "runners/methods/", "workloads/synthetic/"):
        assert f"| `{module}` |" in text
