"""Sizes of the pages of a parquet file, read from the pages' own headers (Thrift's compact protocol).

What the metadata at the end of a file say of its pages is not what a decoder goes by: it makes room for what the header
of each page says. The format is that of https://github.com/apache/parquet-format, ``PageHeader``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

STOP, TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = 0, 1, 2, 3, 7, 8, 9, 10, 11, 12
INTEGERS = (4, 5, 6)
UNCOMPRESSED, COMPRESSED = 2, 3  # fields of a page header
MOST_NESTED = 8
MOST_ITEMS = 10_000
LONGEST_NUMBER = 10  # bytes
DAMAGED = "is no readable parquet file (a page has no header)"


@dataclass(frozen=True)
class Page:
    """A page: its sizes in bytes, decompressed and in the file, and where the next one begins."""

    uncompressed: int
    end: int


def read_page(file: BinaryIO, offset: int) -> Page:
    """The page at an offset; ValueError when there is none."""
    file.seek(offset)
    sizes = {}
    field = 0
    while (head := _byte(file)) != STOP:
        kind = head & 0x0F
        field = field + (head >> 4) if head >> 4 else _zigzag(file)
        if field in (UNCOMPRESSED, COMPRESSED) and kind in INTEGERS:
            sizes[field] = _zigzag(file)
        else:
            _skip(file, kind)
    if set(sizes) != {UNCOMPRESSED, COMPRESSED} or min(sizes.values()) < 0:
        raise ValueError(DAMAGED)
    return Page(sizes[UNCOMPRESSED], file.tell() + sizes[COMPRESSED])


def _skip(file: BinaryIO, kind: int, depth: int = 0) -> None:
    """Pass over a value."""
    if depth > MOST_NESTED:
        raise ValueError(DAMAGED)
    if kind in (TRUE, FALSE):
        return
    if kind in (BYTE, DOUBLE):
        file.seek(1 if kind == BYTE else 8, 1)
    elif kind in INTEGERS:
        _varint(file)
    elif kind == BINARY:
        file.seek(_varint(file), 1)
    elif kind in (LIST, SET):
        head = _byte(file)
        count = head >> 4 if head >> 4 < 0x0F else _varint(file)
        _skip_items(file, (head & 0x0F,), count, depth)
    elif kind == MAP:
        count = _varint(file)
        kinds = _byte(file) if count else 0
        _skip_items(file, (kinds >> 4, kinds & 0x0F), count, depth)
    elif kind == STRUCT:
        while (head := _byte(file)) != STOP:
            if not head >> 4:
                _varint(file)
            _skip(file, head & 0x0F, depth + 1)
    else:
        raise ValueError(DAMAGED)


def _skip_items(file: BinaryIO, kinds: tuple[int, ...], count: int, depth: int) -> None:
    """Pass over the items of a list or a map, in which true and false take a byte each."""
    if count > MOST_ITEMS:
        raise ValueError(DAMAGED)
    for _ in range(count):
        for kind in kinds:
            _skip(file, BYTE if kind in (TRUE, FALSE) else kind, depth + 1)


def _byte(file: BinaryIO) -> int:
    read = file.read(1)
    if not read:
        raise ValueError(DAMAGED)
    return read[0]


def _varint(file: BinaryIO) -> int:
    number = 0
    for place in range(LONGEST_NUMBER):
        byte = _byte(file)
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return number
    raise ValueError(DAMAGED)


def _zigzag(file: BinaryIO) -> int:
    number = _varint(file)
    return (number >> 1) ^ -(number & 1)
