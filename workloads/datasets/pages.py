"""What a parquet file says of itself: the columns of its row groups, and the sizes of their pages.

What the metadata at the end of a file say of its pages is not what a decoder goes by: it makes room for what the header
of each page says. Both are read here, and not by pyarrow, which ends the process where some of the metadata contradict
each other. The format is that of https://github.com/apache/parquet-format, ``parquet.thrift``.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO

from workloads.datasets.thrift import DamagedStruct, Struct, read_struct

UNCOMPRESSED, COMPRESSED = 2, 3  # fields of a page header
ROW_GROUPS, COLUMNS, COLUMN = 4, 1, 3  # fields of the metadata, of a row group, of a column chunk
NO_PAGE = "is no readable parquet file (a page has no header)"
NO_FOOTER = "is no readable parquet file (its metadata are damaged)"
BYTE_ARRAY = 6  # physical type
WIDTHS = (1, 4, 8, 12, 4, 8)  # bytes of a value, by physical type: of booleans to doubles
DELTA_BYTE_ARRAY = 7  # encoding


@dataclass(frozen=True)
class Page:
    """A page: its sizes in bytes, decompressed and in the file, and where the next one begins."""

    uncompressed: int
    end: int


@dataclass(frozen=True)
class Column:
    """A column of a row group: what it takes in the file, and how its values are kept.

    Attributes:
        kind: number of the physical type.
        encodings: numbers of all encodings of its pages.
        path: names from the outermost field to the column, joined by dots.
        values: number of values, nulls included.
        compressed, uncompressed: bytes of its pages in the file, and decompressed.
        start: where the first page begins.
        has_dictionary: whether the first page is a dictionary.
    """

    kind: int
    encodings: tuple[int, ...]
    path: str
    values: int
    compressed: int
    uncompressed: int
    start: int
    has_dictionary: bool


def read_page(file: BinaryIO, offset: int) -> Page:
    """The page at an offset; ValueError when there is none."""
    file.seek(offset)
    try:
        header = read_struct(file)
    except DamagedStruct as error:
        raise ValueError(NO_PAGE) from error
    uncompressed, compressed = header.get(UNCOMPRESSED), header.get(COMPRESSED)
    if not isinstance(uncompressed, int) or not isinstance(compressed, int) or min(uncompressed, compressed) < 0:
        raise ValueError(NO_PAGE)
    return Page(uncompressed, file.tell() + compressed)


def read_row_groups(footer: bytes) -> list[list[Column]]:
    """The columns of every row group that a file's metadata list; ValueError when these are damaged."""
    try:
        groups = read_struct(io.BytesIO(footer)).get(ROW_GROUPS, [])
        return [[_column(chunk[COLUMN]) for chunk in group[COLUMNS]] for group in groups]
    except (DamagedStruct, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise ValueError(NO_FOOTER) from error


def _column(metadata: Struct) -> Column:
    """See ``ColumnMetaData`` of the format; KeyError, TypeError where it is not as it must be."""
    kind, encodings, path, values, uncompressed, compressed, data_page = (
        metadata[field] for field in (1, 2, 3, 5, 6, 7, 9)
    )
    dictionary_page = metadata.get(11)
    numbers = (kind, values, uncompressed, compressed, data_page, 0 if dictionary_page is None else dictionary_page)
    if not all(isinstance(number, int) for number in (*numbers, *encodings)) or min(numbers) < 0:
        raise TypeError
    starts = [place for place in (data_page, dictionary_page) if place]
    return Column(
        kind=kind,
        encodings=tuple(encodings),
        path=".".join(name.decode() for name in path),
        values=values,
        compressed=compressed,
        uncompressed=uncompressed,
        start=min(starts, default=0),
        has_dictionary=dictionary_page is not None,
    )
