"""Find the commit of vlcache's own source: as the build noted it, or as the source tree's ``.git`` says; no git is run.

Whoever measures does so in a folder that came from elsewhere. git would run programs that the configuration of such a
folder names, so nothing of the working folder is looked at, and ``.git`` is read as the files that it consists of.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from workloads.errors import UsageError
from workloads.reading.regular import read_within

NOTE = "source_commit.txt"
"""Beside this module in wheels and source archives, written by ``hatch_build.py``; in no source tree."""

LARGEST_FILE = 1 << 20
BRANCH = re.compile(r"ref: (refs/[\w./+@-]+)")
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def source_commit(module: Path = Path(__file__)) -> str | None:
    """The commit that vlcache was built from or is run from; None where that is not known.

    Whether files differ from that commit is not known.
    """
    noted = _line(module.parent, NOTE)
    return _hash(noted) if noted is not None else checked_out(module.resolve().parents[2])


def checked_out(root: Path) -> str | None:
    """The commit checked out in vlcache's source tree; None where ``root`` is another project's, or has no ``.git``."""
    head = _line(root / ".git", "HEAD") if _is_ours(root) else None
    if head is None:
        return None
    branch = BRANCH.fullmatch(head)
    if branch is None:
        return _hash(head)
    return _hash(_line(root / ".git", branch[1])) or _packed(root / ".git", branch[1])


def _is_ours(root: Path) -> bool:
    """Whether a folder is the root of vlcache's source."""
    try:
        text = read_within(root, "pyproject.toml", LARGEST_FILE, "project").decode()
        return bool(tomllib.loads(text).get("project", {}).get("name") == "vlcache")
    except (UsageError, ValueError, AttributeError):
        return False


def _packed(git: Path, branch: str) -> str | None:
    """The commit of a branch that git keeps in one file with others."""
    try:
        lines = read_within(git, "packed-refs", LARGEST_FILE, "list of branches").decode(errors="replace").splitlines()
    except UsageError:
        return None
    return next((_hash(line.partition(" ")[0]) for line in lines if line.partition(" ")[2] == branch), None)


def _line(folder: Path, name: str) -> str | None:
    """The only line of a small file; None where there is no such file."""
    try:
        return read_within(folder, name, LARGEST_FILE, "line").decode(errors="replace").strip()
    except UsageError:
        return None


def _hash(text: str | None) -> str | None:
    return text if text is not None and COMMIT.fullmatch(text) else None
