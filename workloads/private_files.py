"""Write files inside a folder for its owner alone, without following a link: what a run keeps may show pictures.

Every function takes the path of a folder, which may be a link that a user named, and a name relative to it, on the way
to which nothing may be one. Files are regular, of mode 0600, and have no second name (a hard link) elsewhere; folders
are made with mode 0700. Each raises OSError, whose ``strerror`` says in words what is wrong.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from workloads.reading.regular import AT_ONCE, descend, open_folder, require_regular

CLOSED_ON_EXEC = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
WRITE = os.O_WRONLY | CLOSED_ON_EXEC


def make_folder(folder: Path) -> None:
    """Make a folder for its owner, and those above it, where they are not there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def open_to_append(folder: Path, name: str | Path) -> BinaryIO:
    """Open a file to write behind what it holds, unbuffered; it is made where it is not there."""
    return os.fdopen(_own(descend(folder, name, WRITE | AT_ONCE | os.O_APPEND | os.O_CREAT)), "ab", buffering=0)


def cut(folder: Path, name: str | Path, length: int) -> None:
    """Cut a file off after so many bytes."""
    descriptor = _own(descend(folder, name, WRITE | AT_ONCE))
    try:
        os.ftruncate(descriptor, length)
    finally:
        os.close(descriptor)


def write_whole(folder: Path, name: str | Path, data: bytes) -> None:
    """Write a file in one go: it is the old one or the whole new one. Folders on the way are made."""
    *folders, last = Path(name).parts
    _make_folders(folder, folders)
    place = open_folder(folder, Path(*folders))
    partial = f"{last}.partial-{os.getpid()}"
    try:
        with suppress(FileNotFoundError):
            os.unlink(partial, dir_fd=place)
        with os.fdopen(os.open(partial, WRITE | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=place), "wb") as stream:
            stream.write(data)
        os.replace(partial, last, src_dir_fd=place, dst_dir_fd=place)
    except OSError:
        with suppress(OSError):
            os.unlink(partial, dir_fd=place)
        raise
    finally:
        os.close(place)


def _make_folders(folder: Path, names: list[str]) -> None:
    """Make folders inside one another, each inside what is no link."""
    for depth, name in enumerate(names):
        place = open_folder(folder, Path(*names[:depth]))
        try:
            os.mkdir(name, 0o700, dir_fd=place)
        except FileExistsError:
            if stat.S_ISREG(os.stat(name, dir_fd=place, follow_symlinks=False).st_mode):
                raise
        finally:
            os.close(place)


def _own(descriptor: int) -> int:
    """Check that an open file is regular and has one name; OSError, and it is closed, when not."""
    require_regular(descriptor)
    if os.fstat(descriptor).st_nlink > 1:
        os.close(descriptor)
        raise OSError(errno.EMLINK, "it is a hard link, which has another name elsewhere: copy it first")
    return descriptor
