"""The directory of the disk tier: files by scope and name, written whole or not at all, within a budget of bytes.

    DIR/<scope, 32 digits>/<media|prefix>-<key, 64 digits>.safetensors
                           the same name and ".hits": a byte for every time that the entry was read
                           .<16 digits>.tmp: a file that is being written, locked by its writer

There is no index: the directory is the index. An entry is written to a temporary name and renamed, so that every
reader, in whatever process, finds the whole of it or nothing. A process that is killed leaves a temporary file behind,
whose lock has ended with it: the next one that writes removes it. When an entry was used last is the file's own time.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from runners.engine.store.disk.file import BadEntry
from workloads.errors import UsageError
from workloads.reading.regular import AT_ONCE, READ, descend, open_folder, require_regular

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

SCOPE = re.compile(r"[0-9a-f]{32}")
NAME = re.compile(r"(media|prefix)-[0-9a-f]{64}\.safetensors")
HITS = ".hits"
TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")
MOST_HITS = 1 << 20
ASKED_AT_ONCE = 1 << 20
"""Bytes; Linux may read no more for a single advice."""
NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
FOLDER_MODE, FILE_MODE = 0o700, 0o600
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | AT_ONCE


@dataclass(frozen=True)
class StoredFile:
    """A file of an entry, as the directory has it.

    Attributes:
        used: seconds since 1970 when it was last written or read.
        hits: how often it was read.
    """

    scope: str
    name: str
    nbytes: int
    used: float
    hits: int


class StoreFolder:
    """A directory of entries, which other processes write to at the same time; see the module.

    Raises:
        UsageError: the path is that of something else than a folder of this user.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with suppress(OSError):
            found = path.stat()
            if not stat.S_ISDIR(found.st_mode):
                raise UsageError(f"--store-dir {path} is no folder: choose another place")
            if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
                raise UsageError(f"--store-dir {path} belongs to another user: choose a folder of your own")

    def make(self) -> None:
        """Make the folder, for its owner alone, where it is missing; OSError where the disk refuses."""
        if not self.path.is_dir():
            self.path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def open(self, scope: str, name: str) -> BinaryIO:
        """Open the file of an entry for reading.

        Raises:
            FileNotFoundError: there is none.
            BadEntry: it is a link, has a second name, is no regular file, or others may write to it.
            OSError: this process or the system has no room for another open file, which says nothing of the entry.
        """
        try:
            descriptor = require_regular(descend(self.path, f"{scope}/{name}", READ | AT_ONCE))
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno in NO_ROOM:
                raise
            raise BadEntry(f"it cannot be opened: {error.strerror}") from error
        found = os.fstat(descriptor)
        if found.st_nlink > 1 or found.st_mode & 0o022 or (hasattr(os, "geteuid") and found.st_uid != os.geteuid()):
            os.close(descriptor)
            raise BadEntry("it has another name or owner, or others may write to it")
        return os.fdopen(descriptor, "rb", buffering=0)

    def write(self, scope: str, name: str, pieces: Sequence[bytes | memoryview]) -> None:
        """Write the file of an entry, whole or not at all, in place of an older one; OSError where the disk refuses."""
        place = self._open_scope(scope)
        try:
            temporary, descriptor = _new_file(place)
            try:
                for piece in pieces:
                    _write_all(descriptor, piece)
                os.fsync(descriptor)
                os.rename(temporary, name, src_dir_fd=place, dst_dir_fd=place)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=place)
                raise
            finally:
                os.close(descriptor)
        finally:
            os.close(place)

    def remove(self, scope: str, name: str, only: os.stat_result | None = None) -> None:
        """Remove an entry, whatever lies under its name, and its hits; nothing where there is none.

        Args:
            only: of the file that is meant: another one that took its name is left alone.
        """
        with suppress(OSError):
            place = open_folder(self.path, scope)
            try:
                found = os.stat(name, dir_fd=place, follow_symlinks=False)
                if only is None or os.path.samestat(only, found):
                    (os.rmdir if stat.S_ISDIR(found.st_mode) else os.unlink)(name, dir_fd=place)
                    os.unlink(name + HITS, dir_fd=place)
            finally:
                os.close(place)

    def mark_used(self, scope: str, name: str) -> None:
        """Note that an entry was read now. What the disk refuses is not noted."""
        with suppress(OSError):
            os.utime(self.path / scope / name, follow_symlinks=False)
            descriptor = descend(self.path, f"{scope}/{name}{HITS}", APPEND)
            try:
                if os.fstat(descriptor).st_size < MOST_HITS:
                    os.write(descriptor, b"+")
            finally:
                os.close(descriptor)

    def scopes(self) -> list[str]:
        """Names of the scopes, ascending."""
        with os.scandir(self.path) as found:
            return sorted(
                entry.name for entry in found if SCOPE.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
            )

    def names(self, scope: str) -> list[str]:
        """Names of the entries of a scope, ascending."""
        try:
            with os.scandir(self.path / scope) as found:
                return sorted(entry.name for entry in found if NAME.fullmatch(entry.name))
        except OSError:
            return []

    def files(self) -> Iterator[StoredFile]:
        """All entries, by scope and name."""
        for scope in self.scopes():
            for name in self.names(scope):
                try:
                    found = (self.path / scope / name).lstat()
                except OSError:
                    continue
                try:
                    hits = (self.path / scope / (name + HITS)).lstat().st_size
                except OSError:
                    hits = 0
                yield StoredFile(scope, name, found.st_size, found.st_mtime, hits)

    def shrink(self, budget: int) -> tuple[int, int]:
        """Remove the entries used least recently until the others fit a budget; returns their bytes, and how many went.

        Removes, too, what killed processes left behind.
        """
        self.tidy()
        files = sorted(self.files(), key=lambda file: file.used)
        left, evicted = sum(file.nbytes for file in files), 0
        for file in files:
            if left <= budget:
                break
            self.remove(file.scope, file.name)
            left -= file.nbytes
            evicted += 1
        return left, evicted

    def tidy(self) -> None:
        """Remove temporary files whose writer has ended, and hits without an entry."""
        for scope in self.scopes():
            with suppress(OSError):
                place = open_folder(self.path, scope)
                try:
                    found = set(os.listdir(place))  # noqa: PTH208
                    for name in found:
                        if TEMPORARY.fullmatch(name):
                            _remove_abandoned(place, name)
                        elif name.endswith(HITS) and name.removesuffix(HITS) not in found:
                            os.unlink(name, dir_fd=place)
                finally:
                    os.close(place)

    def _open_scope(self, scope: str) -> int:
        """Open the folder of a scope, which is made where it is missing."""
        with suppress(FileNotFoundError):
            return open_folder(self.path, scope)
        with suppress(FileExistsError):
            (self.path / scope).mkdir(FOLDER_MODE)
        return open_folder(self.path, scope)


def _new_file(place: int) -> tuple[str, int]:
    """Make a temporary file and lock it; again where it was taken for an abandoned one in between."""
    while True:
        name = f".{secrets.token_hex(8)}.tmp"
        descriptor = os.open(name, NEW, FILE_MODE, dir_fd=place)
        if fcntl is None:
            return name, descriptor
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:
                return name, descriptor
        except BlockingIOError:
            pass
        except OSError:  # a file system without locks
            return name, descriptor
        os.close(descriptor)


def _remove_abandoned(place: int, name: str) -> None:
    """Remove a temporary file, unless its writer lives: then the lock is taken."""
    if fcntl is None:
        if time.time() - os.stat(name, dir_fd=place, follow_symlinks=False).st_mtime > 3600:
            os.unlink(name, dir_fd=place)
        return
    descriptor = require_regular(os.open(name, READ | AT_ONCE | os.O_NOFOLLOW, dir_fd=place))
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(name, dir_fd=place)
    except BlockingIOError:
        pass
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, piece: bytes | memoryview) -> None:
    rest = memoryview(piece)
    while len(rest):
        rest = rest[os.write(descriptor, rest[: 1 << 30]) :]


def ask_for(descriptor: int, start: int, nbytes: int) -> None:
    """Ask the system to read a part of a file into its memory, and do not wait for it."""
    if hasattr(os, "posix_fadvise"):
        for offset in range(start, start + nbytes, ASKED_AT_ONCE):
            os.posix_fadvise(descriptor, offset, min(ASKED_AT_ONCE, start + nbytes - offset), os.POSIX_FADV_WILLNEED)


def drop_cached(stream: BinaryIO) -> bool:
    """Ask the system to forget a file's bytes in memory, so that the next read is the disk's; False where it cannot."""
    if not hasattr(os, "posix_fadvise"):
        return False
    os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return True
