"""Read published traces as arrivals and sizes: Azure's trace of multimodal requests, and JSON lines as Mooncake's.

    TIMESTAMP,NumImages,ContextTokens,GeneratedTokens                                      (Azure, CSV)
    2024-10-15 00:00:00.003,2,1893,104

    {"timestamp": 27482, "input_length": 6955, "output_length": 52, "num_images": 1}        (JSON lines, milliseconds)

Other columns and keys, such as Mooncake's ``hash_ids``, are not read: neither file says which images are the same.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO

from annotated_types import Interval

from workloads.errors import UsageError, quoted
from workloads.files.jsonl import lines_of, parse_line
from workloads.reading import check, keys
from workloads.reading.regular import open_within

LONGEST_ROW = 4096  # bytes of a line of a CSV file
MOST_IMAGES, MOST_TOKENS, MOST_MS = 1000, 10**7, 10**13
COLUMNS = ("TIMESTAMP", "NumImages", "ContextTokens", "GeneratedTokens")


@dataclass(frozen=True)
class Replayed:
    """What a published trace says of a request.

    Attributes:
        arrival_s: seconds after the first one.
        input_tokens: of text and images together.
    """

    arrival_s: float
    images: int
    input_tokens: int
    output_tokens: int


Images = Annotated[int, Interval(ge=0, le=MOST_IMAGES)]
Tokens = Annotated[int, Interval(ge=0, le=MOST_TOKENS)]


@keys(unknown="ignore")
@dataclass(frozen=True)
class MooncakeRow:
    """A line of Mooncake's form, with the number of images that such lines are given where there are any."""

    timestamp: Annotated[float, Interval(ge=0, le=MOST_MS)]
    input_length: Tokens
    output_length: Tokens
    num_images: Images = 0


@keys(unknown="ignore")
@dataclass(frozen=True)
class AzureRow:
    """A row of Azure's trace of multimodal requests, its numbers read."""

    NumImages: Images
    ContextTokens: Tokens
    GeneratedTokens: Tokens


def replay(folder: Path, name: str) -> Iterator[Replayed]:
    """The requests of a file in a folder, in its order, which must be that of time.

    Raises:
        UsageError: it cannot be read, is of no such form, or a line of it is wrong.
    """
    readers: dict[str, Callable[[BinaryIO, Path], Iterator[Replayed]]] = {".csv": _azure, ".jsonl": _mooncake}
    reader = readers.get(Path(name).suffix)
    if reader is None:
        raise UsageError(
            f"{folder / name}: a file to replay ends in .csv (Azure's columns) or .jsonl (Mooncake's keys)"
        )
    try:
        with open_within(folder, name) as stream:
            first_s: float | None = None
            last_s = 0.0
            for number, row in enumerate(reader(stream, folder / name), 1):
                first_s = row.arrival_s if first_s is None else first_s
                arrival_s = row.arrival_s - first_s
                if arrival_s < last_s:
                    raise UsageError(f"{folder / name}: request {number} comes before the one above it: sort the file")
                last_s = arrival_s
                yield Replayed(arrival_s, row.images, row.input_tokens, row.output_tokens)
    except OSError as error:
        raise UsageError(f"cannot read {folder / name}: {error.strerror}") from error


def _mooncake(stream: BinaryIO, path: Path) -> Iterator[Replayed]:
    for number, line in lines_of(stream, path):
        with _speaking_of(path, number):
            row: MooncakeRow = check(parse_line(line), MooncakeRow)
        yield Replayed(row.timestamp / 1e3, row.num_images, row.input_length, row.output_length)


def _azure(stream: BinaryIO, path: Path) -> Iterator[Replayed]:
    header: list[str] | None = None
    for number, line in lines_of(stream, path):
        with _speaking_of(path, number):
            if len(line) > LONGEST_ROW:
                raise ValueError(f"is longer than {LONGEST_ROW} bytes")
            cells = next(csv.reader([line.decode("utf-8-sig", "replace").rstrip("\r\n")]), [])
            if header is None:
                header = [cell.strip() for cell in cells]
                missing = [column for column in COLUMNS if column not in header]
                if missing:
                    raise ValueError(f"names no column {missing[0]}: the first line must name {', '.join(COLUMNS)}")
                continue
            if len(cells) != len(header):
                raise ValueError(f"has {len(cells)} columns, not {len(header)}")
            found = dict(zip(header, cells, strict=True))
            row: AzureRow = check({name: _number(found[name]) for name in COLUMNS[1:]}, AzureRow)
            arrival_s = _seconds(found["TIMESTAMP"])
        yield Replayed(arrival_s, row.NumImages, row.ContextTokens, row.GeneratedTokens)


@contextmanager
def _speaking_of(path: Path, number: int) -> Iterator[None]:
    """Say of which line it is that something is wrong."""
    try:
        yield
    except (ValueError, csv.Error) as error:
        raise UsageError(f"{path}, line {number}: {error}") from error


def _number(text: str) -> object:
    """A whole number; any other text as it is, which the check refuses."""
    stripped = text.strip()
    return int(stripped) if stripped.isascii() and stripped.isdigit() and len(stripped) < 18 else stripped


def _seconds(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ValueError(f"TIMESTAMP must be a date and time, not {quoted(text)}") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
