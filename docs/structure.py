"""Writes ``docs/structure.md``, the map of all modules, from the first lines of their docstrings.

python docs/structure.py
"""

from __future__ import annotations

import ast
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAP = ROOT / "docs" / "structure.md"
PACKAGES = {
    "vlcache_cli": "talks to people",
    "reports": "records -> numbers -> tables",
    "runners": "answers requests",
    "workloads": "what is asked, and how an answer is scored",
}
HEAD = """\
# Structure

One line per module, its docstring's first, written by `python docs/structure.py`; a test holds that the map is as the
modules are. Imports run one way: `vlcache_cli` -> `reports` -> `runners` -> `workloads`. What the rooms are for, and
the way of a request through them: [architecture.md](architecture.md).
"""


def render() -> str:
    """The map as Markdown: a section for each package, a table for each of its folders."""
    parts = [HEAD]
    for package, purpose in PACKAGES.items():
        parts.append(f"\n## `{package}/`: {purpose}\n")
        files = sorted((ROOT / package).rglob("*.py"), key=lambda file: (file.parent.parts, file.name))
        for folder, modules in groupby(files, key=lambda file: file.parent):
            about, *others = modules  # __init__.py says what the folder is for
            lines = [f"| `{file.name}` | {first_line(file)} |" for file in others]
            name = folder.relative_to(ROOT).as_posix()
            parts.append("\n".join(("", f"| `{name}/` | {first_line(about)} |", "|---|---|", *lines, "")))
    return "".join(parts)


def first_line(file: Path) -> str:
    """The first line of a module's docstring, fit for a cell of a table."""
    docstring = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
    return docstring.partition("\n")[0].replace("``", "`").replace("|", "\\|")


if __name__ == "__main__":
    MAP.write_text(render(), encoding="utf-8")
