"""Results on disk, and files that users name: what the disk refuses is the user's to mend."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from workloads.errors import UsageError
from workloads.private_files import write_whole

RUN_FILES = ("manifest.json", "records.jsonl", "asked.jsonl")


@contextmanager
def writing_to(place: Path) -> Iterator[None]:
    """Turn what the disk says of a file or folder into a UsageError."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write to {place}: {error.strerror}; make room or choose another --output") from error


def write_file(file: Path, data: bytes, advice: str) -> None:
    """Write a file that a user named, in one go: it is the old one or the whole new one. A pipe is written to.

    Links are followed, but not in the folder of a run, which may come from elsewhere: there a link is replaced.

    Raises:
        UsageError: the disk refuses, or the file belongs to a run; ends in ``advice``.
    """
    if file.name in RUN_FILES:
        raise UsageError(f"{file} is where a run keeps its {file.stem}; {advice}")
    target = file.resolve()
    partial = target.with_name(f"{target.name}.partial-{os.getpid()}")
    try:
        if any(os.path.lexists(file.parent / name) for name in RUN_FILES):
            write_whole(file.parent, file.name, data)
            return
        if file.exists() and not file.is_file():  # also /dev/stdout of a pipe, which resolves to no path
            with suppress(BrokenPipeError):  # whoever reads has enough
                _write_at_once(file, data)
            return
        partial.write_bytes(data)
        partial.replace(target)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise UsageError(f"cannot write {file}: {error.strerror}; {advice}") from error


def require_distinct(outputs: Mapping[str, Path | None], inputs: Mapping[str, Path | None]) -> None:
    """Check that no file is written twice, or written over what is read; pipes and devices may be.

    Args:
        outputs, inputs: files by the option that names them.

    Raises:
        UsageError: two options name one file.
    """
    taken = {_place(file): option for option, file in inputs.items() if file is not None}
    for option, file in outputs.items():
        if file is None or (file.exists() and not file.is_file()):
            continue
        if (other := taken.setdefault(_place(file), option)) != option:
            raise UsageError(f"{option} and {other} name one file, {file}: choose another for {option}")


def _place(file: Path) -> object:
    """What tells whether two paths lead to one file, by whatever links."""
    try:
        status = file.stat()
    except OSError:
        return os.path.realpath(file)
    return status.st_dev, status.st_ino


def append_to_file(file: Path, data: bytes, advice: str) -> None:
    """Write behind what a file holds; UsageError, which ends in ``advice``, when the disk refuses."""
    try:
        _write_at_once(file, data, os.O_APPEND | os.O_CREAT)
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}; {advice}") from error


def _write_at_once(file: Path, data: bytes, more: int = 0) -> None:
    """Write into a file, a pipe or a device; OSError for a pipe that nobody reads, instead of waiting for a reader."""
    descriptor = os.open(file, os.O_WRONLY | more | getattr(os, "O_NONBLOCK", 0), 0o666)
    os.set_blocking(descriptor, True)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
