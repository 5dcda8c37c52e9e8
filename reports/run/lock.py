"""Lock a run's folder for one writer at a time."""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from reports.run.disk import writing_to
from workloads.errors import UsageError
from workloads.reading.regular import AT_ONCE, descend, open_folder, require_regular

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

FILE = ".lock"
FLAGS = os.O_RDWR | os.O_CREAT | AT_ONCE | getattr(os, "O_CLOEXEC", 0)


class WriterLock:
    """The right to write to a folder, held by one process until it is released or ends, however it ends.

    It is the system's own lock (``flock``) on the file ``.lock``. A process that is killed leaves that file behind, and
    it means nothing then. Where the system has no such locks, as on Windows, nothing keeps a second writer out.

    Raises:
        UsageError: another process holds it; the disk refuses, or cannot lock files.
    """

    def __init__(self, folder: Path) -> None:
        with writing_to(folder / FILE):
            place = open_folder(folder)
            try:
                descriptor = _open_locked(folder, place)
            except BaseException:
                os.close(place)
                raise
        self.release = weakref.finalize(self, _release, os.getpid(), place, descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _open_locked(folder: Path, place: int) -> int:
    """Open the file and lock it; again where who held it before has just removed it."""
    while True:
        descriptor = require_regular(descend(folder, FILE, FLAGS))
        try:
            _lock(folder, descriptor)
            mine, there = os.fstat(descriptor), os.stat(FILE, dir_fd=place, follow_symlinks=False)
            if os.path.samestat(mine, there):
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(folder: Path, descriptor: int) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(
            f"{folder} is in use: another vlcache writes to it; wait until that ends, or choose another --output"
        ) from error
    except OSError as error:
        raise UsageError(f"cannot lock {folder / FILE}: {error.strerror}; choose another --output") from error


def _release(process: int, place: int, descriptor: int) -> None:
    """Remove the file and let go of it, in this order; a process that was forked off has no part in that."""
    if os.getpid() != process:
        return
    with suppress(OSError):
        os.unlink(FILE, dir_fd=place)
    os.close(descriptor)
    os.close(place)
