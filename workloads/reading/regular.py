"""Open regular files only: pipes and devices never end, and a link inside a given folder leads out of it.

Files that a user names on the command line may be links; files inside a folder that came from elsewhere (a model, a
data set, a run) may not, and neither may the folders on the way to them.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from workloads.errors import UsageError

READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
AT_ONCE = getattr(os, "O_NONBLOCK", 0)  # a pipe that nobody writes to is opened, and then refused
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
FOLDER = getattr(os, "O_DIRECTORY", 0)
KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFLNK: "a symbolic link",
}


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading. Links are followed.

    Raises:
        OSError: it cannot be opened, or is no regular file; ``strerror`` says so in words.
    """
    _require_plain(str(path))
    return _regular(os.open(path, READ | AT_ONCE))


def open_within(folder: Path, name: str | Path) -> BinaryIO:
    """Open a regular file inside a folder for reading. No link below the folder is followed.

    Args:
        name: path of the file relative to the folder.

    Raises:
        OSError: it cannot be opened, lies outside the folder, or it or a folder on the way is a link or not regular.
    """
    return _regular(descend(folder, name, READ | AT_ONCE))


def open_folder(folder: Path, name: str | Path = "") -> int:
    """Open a folder, or one inside it, to which no link may lead; returns a descriptor, which the caller closes.

    Raises:
        OSError: as for ``open_within``.
    """
    flags = os.O_RDONLY | FOLDER
    return descend(folder, name, flags) if Path(name).parts else os.open(folder, flags)


def descend(folder: Path, name: str | Path, flags: int, mode: int = 0o600) -> int:
    """Open ``name`` below a folder with ``os.open``'s flags, folder by folder, without following a link.

    Returns:
        a file descriptor, which the caller closes.

    Raises:
        OSError: as for ``open_within``.
    """
    _require_plain(str(name))
    *folders, last = Path(name).parts or ("",)
    if Path(name).is_absolute() or ".." in (*folders, last):
        raise OSError(errno.EPERM, "it lies outside the folder")
    place = open_folder(folder)
    try:
        for step in folders:
            inner = _open_here(step, os.O_RDONLY | FOLDER, mode, place)
            os.close(place)
            place = inner
        return _open_here(last, flags, mode, place)
    finally:
        os.close(place)


def read_bounded(path: Path, most: int, wanted: str) -> bytes:
    """Read a regular file of at most ``most`` bytes.

    Raises:
        UsageError: it cannot be read, is no regular file, or is too large to be ``wanted``.
    """
    try:
        with open_regular(path) as stream:
            return bounded(stream, path, most, wanted)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def read_within(folder: Path, name: str | Path, most: int, wanted: str) -> bytes:
    """Read a regular file inside a folder, of at most ``most`` bytes, without following a link.

    Raises:
        UsageError: as for ``read_bounded``.
    """
    try:
        with open_within(folder, name) as stream:
            return bounded(stream, folder / name, most, wanted)
    except OSError as error:
        raise UsageError(f"cannot read {folder / name}: {error.strerror}") from error


def bounded(stream: BinaryIO, path: Path, most: int, wanted: str) -> bytes:
    """Read a stream to its end; UsageError when that is beyond ``most`` bytes."""
    if len(data := stream.read(most + 1)) <= most:
        return data
    size = f"{most >> 20} MiB" if most >= 1 << 20 else f"{most >> 10} KiB"
    raise UsageError(f"{path} is larger than {size}: that is no {wanted}")


def require_regular(descriptor: int) -> int:
    """Check that a descriptor is a regular file's, and return it; OSError, and it is closed, when it is not."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, f"it is {KINDS.get(stat.S_IFMT(mode), 'something else')}, not a regular file")


def _require_plain(name: str) -> None:
    """Check a name for what no file's name can hold."""
    if "\0" in name:
        raise OSError(errno.EINVAL, "its name holds a null character")


def _open_here(name: str, flags: int, mode: int, place: int) -> int:
    """Open a name in an open folder; a link there is an error in words."""
    try:
        return os.open(name, flags | NO_LINK | getattr(os, "O_CLOEXEC", 0), mode, dir_fd=place)
    except OSError as error:
        if _is_link(name, place):
            raise OSError(errno.ELOOP, "it is a symbolic link, or lies behind one") from error
        raise


def _is_link(name: str, place: int) -> bool:
    """Whether a name in an open folder is a symbolic link."""
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=place, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _regular(descriptor: int) -> BinaryIO:
    """Make a stream of a descriptor; OSError, and the descriptor closed, when it is no regular file's."""
    return os.fdopen(require_regular(descriptor), "rb")
