"""Exit codes, and the one line on the screen of a command that fails."""

from __future__ import annotations

import errno
import os
import shlex
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path

from workloads.errors import UsageError

LONGEST_ERROR = 200
REFUSALS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOSPC, errno.EDQUOT)


class ExitCode(IntEnum):
    """The exit codes of commands. Names and numbers are a contract."""

    OK = 0
    GATE_FAILS = 1
    USAGE = 2
    UNDECIDED = 3
    REQUESTS_FAILED = 4
    INTERNAL = 70
    INTERRUPTED = 130


class RunStopped(Exception):
    """A run broke off; ``__cause__`` says why, ``folder`` holds what was finished."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self.folder = folder


@contextmanager
def stopping_in(folder: Path) -> Iterator[None]:
    """Whatever stops the body, other than a UsageError, becomes a RunStopped that knows the folder."""
    try:
        yield
    except UsageError:
        raise
    except (Exception, KeyboardInterrupt) as cause:
        raise RunStopped(folder) from cause


def interrupted(arguments: Sequence[str], folder: Path | None) -> str:
    """The line for a command that was called with ``arguments`` and interrupted, in a run if there is a ``folder``."""
    if folder is None:
        return "interrupted"
    if not (folder / "manifest.json").exists():
        return "interrupted before anything was measured"
    if _is_under_load(folder):
        return "interrupted; what was answered is kept, but a run under load cannot go on: start another one"
    given = {argument.partition("=")[0] for argument in arguments}
    where = [] if "--output" in given else ["--output", str(folder)]
    how = [] if "--resume" in given else ["--resume"]
    again = shlex.join(["vlcache", *arguments, *where, *how])
    return f"interrupted; what was answered is kept, continue with: {again}"


def _is_under_load(folder: Path) -> bool:
    """Whether the requests of a run arrive at times of their own."""
    from reports.run.store import RunFolder

    try:
        return RunFolder(folder).read_manifest().load is not None
    except UsageError:
        return False


def refused(error: OSError) -> str | None:
    """The line for a place that this user may not use; None for an error that may be ours."""
    if error.errno not in REFUSALS or error.filename is None:
        return None
    return f"cannot use {os.fsdecode(error.filename)}: {error.strerror}; give another place, or the right to use it"


def crashed(error: BaseException, folder: Path | None) -> str:
    """The line for an error that is nobody's but ours; its traceback goes to a file in the first writable place."""
    text = "".join(traceback.format_exception(error))
    message = (str(error).splitlines() or [""])[0][:LONGEST_ERROR]
    name = f"vlcache-traceback-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}.txt"
    finders: tuple[Callable[[], str | Path | None], ...] = (lambda: folder, Path.cwd, tempfile.gettempdir)
    for find in finders:
        try:
            if (found := find()) is None:
                continue
            place = Path(found)
            with (place / name).open("x", encoding="utf-8", errors="backslashreplace") as file:  # follows no link
                file.write(text)
        except OSError:
            continue
        return f"internal error, {type(error).__name__}: {message}; please report it with {place / name}"
    return f"internal error, {type(error).__name__}: {message}; no place to write its traceback to:\n{text}"
