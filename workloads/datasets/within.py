"""Keep what a data set's description names inside the data set's folder."""

from __future__ import annotations

from itertools import islice
from pathlib import Path, PurePosixPath, PureWindowsPath

from workloads.errors import UsageError, quoted

SNAPSHOTS, CACHED = "snapshots", "blobs"  # folders of the hub's cache: names of files, and their contents
MOST_FILES = 100_000


def inside(path: str) -> str:
    """A path, or a pattern of paths, that leads down only; ValueError with the end of a sentence for another one."""
    if PurePosixPath(path).is_absolute() or PureWindowsPath(path).drive or ".." in path.replace("\\", "/").split("/"):
        raise ValueError(f"must lead to what lies inside the data set's folder, not {quoted(path)}")
    if not path.isprintable():
        raise ValueError(f"must hold characters that can be printed, not {quoted(path)}")
    return path


def is_within(folder: Path, place: Path) -> bool:
    """Whether links lead no further than to where the hub's own cache keeps the contents of the folder's files."""
    top = folder.resolve()
    homes = [top, top.parent.parent / CACHED] if top.parent.name == SNAPSHOTS else [top]
    return any(place.resolve().is_relative_to(home) for home in homes)


def regular_files(folder: Path, pattern: str, start: Path | None = None) -> list[Path]:
    """The regular files inside a folder that a pattern fits, in order.

    Args:
        folder: that no link may lead out of.
        pattern: of paths from ``start``.
        start: a folder inside it; None for the folder itself.

    Raises:
        UsageError: there are too many, or a link leads out of the folder.
    """
    found = list(islice((path for path in (start or folder).glob(pattern) if path.is_file()), MOST_FILES + 1))
    if len(found) > MOST_FILES:
        raise UsageError(f"{folder} has more than {MOST_FILES} files {quoted(pattern)}")
    for path in found:
        if not is_within(folder, path):
            raise UsageError(f"{path} is a link that leads out of the data set's folder; copy the file there")
    return sorted(found)
