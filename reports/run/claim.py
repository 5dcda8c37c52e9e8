"""Claim a folder for a new run or profile: nothing of anyone may be in it, and no one else may write to it."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

from reports.run.disk import writing_to
from reports.run.lock import FILE, WriterLock
from workloads.errors import UsageError
from workloads.private_files import make_folder
from workloads.reading import brief

LEFT_BEHIND = ("vlcache-traceback-", "manifest.json.partial")
"""How files begin that a command which stopped before it measured anything may have left."""


def claim(folder: Path, require_new: Callable[[list[str]], None]) -> WriterLock:
    """Make a folder, or take an empty one, and lock it.

    Args:
        require_new: raises UsageError where one of the names in the folder says that something was measured before.

    Raises:
        UsageError: as ``require_new`` does; the folder is not empty or in use; or the disk refuses.
    """
    require_free(folder, require_new)
    with writing_to(folder):
        make_folder(folder)
    lock = WriterLock(folder)
    require_free(folder, require_new)
    return lock


def require_free(folder: Path, require_new: Callable[[list[str]], None]) -> None:
    """Check that a folder is empty or not there, and change nothing; see ``claim``."""
    with writing_to(folder):
        files = sorted(folder.iterdir()) if folder.is_dir() else []
        others = [file for file in files if not _is_left_behind(file)]
    require_new([file.name for file in files])
    if others:
        raise UsageError(f"{folder} is not empty, it holds {brief(others[0].name)}: choose another --output")


def _is_left_behind(file: Path) -> bool:
    """Whether a file is what a command that measured nothing leaves: a lock, a traceback, or nothing in it."""
    about = file.lstat()
    ours = file.name == FILE or file.name.startswith(LEFT_BEHIND) or (file.suffix == ".jsonl" and about.st_size == 0)
    return ours and stat.S_ISREG(about.st_mode)
