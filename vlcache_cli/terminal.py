"""Guard stdout and stderr: filter what is written to them, and outlive a reader that goes away."""

from __future__ import annotations

import errno
import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, cast

from workloads.errors import UsageError
from workloads.printable import printable, uncommanding

GONE = (errno.EPIPE, errno.ECONNRESET, errno.ESHUTDOWN)
"""Errors of a pipe or a socket that nobody reads any more."""

COLOURS = re.compile(r"(\x1b\[[\d;]*m)")
MOVES = re.compile(r"(\x1b\[A)+")
"""How tqdm goes back to the row of its bar."""

ASK_FOR_COLOURS = ("FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS")
LONGEST_START = 200
WIDEST = 9999


class Outlet(io.TextIOBase):
    """Write to a stream in the characters that it has, until nobody reads it.

    What is written after that is dropped. Any other error of stdout is a UsageError, and of stderr nothing: there is
    no place left to tell it.
    """

    def __init__(self, stream: TextIO, name: str) -> None:
        self.stream, self.name = stream, name
        self._open, self._gone = True, (*GONE, errno.EIO) if stream.isatty() else GONE  # EIO: it was hung up

    @property
    def encoding(self) -> str:  # type: ignore[override]  # what typeshed has there is an attribute
        """See ``io.TextIOBase``."""
        return self.stream.encoding or "utf-8"

    def writable(self) -> bool:
        """See ``io.IOBase``."""
        return True

    def isatty(self) -> bool:
        """See ``io.IOBase``."""
        return self.stream.isatty()

    def fileno(self) -> int:
        """See ``io.IOBase``."""
        return self.stream.fileno()

    def write(self, text: str) -> int:
        """See ``io.TextIOBase``."""
        with self._outliving():
            self.stream.write(text.encode(self.encoding, "backslashreplace").decode(self.encoding))
        return len(text)

    def flush(self) -> None:
        """See ``io.IOBase``."""
        with self._outliving():
            self.stream.flush()

    @contextmanager
    def _outliving(self) -> Iterator[None]:
        """Skip the body's rest where nobody reads the stream, now or any more."""
        if not self._open:
            with suppress(OSError):
                yield
            return
        try:
            yield
        except OSError as error:
            self._close()
            if error.errno not in self._gone and self.name == "stdout":
                raise UsageError(f"cannot write to {self.name}: {error.strerror}; send it elsewhere") from error

    def _close(self) -> None:
        """Lead to nowhere what is written from now on, and what is still in the stream's buffer."""
        self._open = False
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())
            os.close(nowhere)


class Filter(io.TextIOBase):
    """Write to an outlet without characters that would be obeyed, and without commands to a CI service.

    Colours stay where there may be some. Of progress bars that libraries draw a terminal gets what they begin with, and
    everything else a line each.

    Attributes:
        outlet: for what comes from our own code alone.
    """

    def __init__(self, outlet: Outlet) -> None:
        self.outlet = outlet
        self._start = ""  # what stands on the line so far
        self._colours = outlet.isatty() or any(os.environ.get(name) for name in ASK_FOR_COLOURS)

    @property
    def encoding(self) -> str:  # type: ignore[override]  # what typeshed has there is an attribute
        """See ``io.TextIOBase``."""
        return self.outlet.encoding

    def writable(self) -> bool:
        """See ``io.IOBase``."""
        return True

    def isatty(self) -> bool:
        """See ``io.IOBase``."""
        return self.outlet.isatty()

    def fileno(self) -> int:
        """See ``io.IOBase``."""
        return self.outlet.fileno()

    def flush(self) -> None:
        """See ``io.IOBase``."""
        self.outlet.flush()

    def write(self, text: str) -> int:
        """See ``io.TextIOBase``."""
        if self.isatty() and MOVES.fullmatch(text):
            return self.outlet.write(text)
        if text.startswith("\r") and not text.startswith("\r\n"):
            self._restart()
        shown = uncommanding(self._shown(text.lstrip("\r")), self._start)
        line = (self._start + shown).rpartition("\n")[2]
        self._start = line if len(line) <= LONGEST_START else f"...{line[-LONGEST_START:]}"
        self.outlet.write(shown)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        """What only the stream itself has, such as its buffer."""
        return getattr(self.outlet.stream, name)

    def _restart(self) -> None:
        """Begin the line again, as progress bars do; where that is no terminal, begin another."""
        if self.isatty():
            self.outlet.write("\r")
        elif self._start:
            self.outlet.write("\n")
        self._start = ""

    def _shown(self, text: str) -> str:
        """The text as it may be written, every other part of it a colour."""
        if "\x1b" not in text or not self._colours:
            return printable(text)
        parts = COLOURS.split(text)
        parts[::2] = map(printable, parts[::2])
        return "".join(parts)


def print_line(line: str, stream: TextIO) -> None:
    """Print a line, and have it seen at once."""
    stream.write(f"{line}\n")
    stream.flush()


def outlet_of(stream: TextIO) -> TextIO:
    """Where what comes from our own code alone is written: progress bars, and commands that we mean."""
    return cast(TextIO, stream.outlet) if isinstance(stream, Filter) else stream


@contextmanager
def guarded_streams() -> Iterator[None]:
    """Guard stdout and stderr of the body."""
    _occupy_closed()
    _forget_odd_width()
    given = sys.stdout, sys.stderr
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:  # in place of a stream that the caller closed
        guards = [
            Filter(Outlet(stream or nowhere, name)) for stream, name in zip(given, ("stdout", "stderr"), strict=True)
        ]
        sys.stdout, sys.stderr = (cast(TextIO, guard) for guard in guards)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = given
            for guard in guards:
                with suppress(UsageError):
                    guard.flush()


def _occupy_closed() -> None:
    """Open nothing in place of standard streams that the caller closed, lest a file of ours takes their place."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def _forget_odd_width() -> None:
    """Take ``COLUMNS`` out of the environment where no terminal is that wide; some say 0 for "unknown"."""
    columns = os.environ.get("COLUMNS", "")
    if not (columns.isdecimal() and len(columns) <= len(str(WIDEST)) and 0 < int(columns) <= WIDEST):
        os.environ.pop("COLUMNS", None)
