"""Read the lines of a file in a run's folder as a stream, within bounds and without following a link."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workloads.errors import UsageError
from workloads.reading.regular import open_within

LONGEST_LINE = 1 << 24


@dataclass(frozen=True, slots=True)
class Line:
    """One line.

    Attributes:
        number: from 1.
        start: byte offset in the file.
        data: without its end.
        whole: whether it has an end.
        last: whether none follows.
    """

    number: int
    start: int
    data: bytes
    whole: bool
    last: bool


def read_lines(folder: Path, name: str, most_bytes: int, most_lines: int) -> Iterator[Line]:
    """The lines of a file, one at a time; none where there is no such file.

    Raises:
        UsageError: it cannot be read; it, or a line, is larger than it may be, or has more lines.
    """
    try:
        with open_within(folder, name) as stream:
            if os.fstat(stream.fileno()).st_size > most_bytes:
                raise UsageError(
                    f"{folder / name} is larger than {most_bytes >> 20} MiB, which is the most that is read"
                )
            number, start, line = 0, 0, stream.readline(LONGEST_LINE)
            while line:
                number += 1
                whole = line.endswith(b"\n")
                if not whole and len(line) == LONGEST_LINE:
                    raise UsageError(f"{folder / name}, line {number} is longer than {LONGEST_LINE >> 20} MiB")
                if number > most_lines:
                    raise UsageError(
                        f"{folder / name} has more than {most_lines} lines, which is the most that is read"
                    )
                following = stream.readline(LONGEST_LINE)
                yield Line(number, start, line[:-1] if whole else line, whole, not following)
                start += len(line)
                line = following
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(f"cannot read {folder / name}: {error.strerror}") from error
