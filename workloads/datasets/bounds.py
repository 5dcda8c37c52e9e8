"""Bound what a file of rows takes in memory before it is read: a parquet file of 600 bytes can hold gigabytes.

Of a parquet file, the metadata, the row groups and what their columns take once decoded are bounded: values of a fixed
width by their number, texts and bytes by what their dictionaries repeat, and pages by what their own headers say. Of
JSON and CSV, lines are.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO

from workloads.datasets.pages import BYTE_ARRAY, DELTA_BYTE_ARRAY, WIDTHS, Column, read_page, read_row_groups

if TYPE_CHECKING:
    import pyarrow as pa

MOST_FOOTER = 16 * 2**20  # bytes of a parquet file's metadata
MOST_GROUPS = 100_000
MOST_COLUMNS = 10_000
MOST_PAGES = 100_000  # of a column of a row group
MOST_GROUP = 2 * 2**30  # bytes of a row group once decoded
ALWAYS_BEARABLE = 256 * 2**20  # bytes of a row group, however small its file is; larger ones are what their files are
MOST_TIMES = 4  # what is decoded / what is in the file, of larger row groups
LONGEST_ROW = 64 * 2**20  # bytes of a line of JSON or CSV
MOST_WHOLE = 256 * 2**20  # bytes of a JSON file that is one list, which is read as a whole
BLOCK = 2**20
READ_AT_ONCE = 10 * 2**20  # bytes of JSON, by `datasets`
DEEP = 500  # brackets that Python's own reader bears
TRAILER = struct.Struct("<I4s")
OFFSET = 4  # bytes beside each text
WIDEST = 16


def require_bearable_rows(file: BinaryIO, suffix: str) -> None:
    """Check that the rows of a file can be read within bounds.

    Args:
        suffix: of its name, which tells its form: ``.parquet``, ``.json``, ``.jsonl`` or ``.csv``.

    Raises:
        ValueError: with the end of a sentence that begins with the name of the file.
        OSError: it cannot be read.
    """
    require_bearable_head(file, suffix)
    if suffix != ".parquet" and file.seek(0, 2) > LONGEST_ROW:
        _check_lines(file)


def require_bearable_head(file: BinaryIO, suffix: str) -> None:
    """Check as ``require_bearable_rows`` all that can be told without reading a whole file of lines.

    Raises:
        ValueError, OSError: as there.
    """
    if suffix == ".parquet":
        _check_parquet(file)
    elif suffix in (".json", ".jsonl"):
        _check_json(file)


def _check_json(file: BinaryIO) -> None:
    """ValueError for a list of JSON that is read as a whole and too large, or values that are nested too deeply."""
    size = file.seek(0, 2)
    file.seek(0)
    beginning = file.read(READ_AT_ONCE)
    _check_depth(beginning)
    if size > MOST_WHOLE and beginning[:BLOCK].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"[":
        raise ValueError(f"is a list of more than {MOST_WHOLE >> 20} MiB: make it one object a line")


def _check_lines(file: BinaryIO) -> None:
    """ValueError for a line that is too long."""
    file.seek(0)
    length = 0
    while block := file.read(BLOCK):
        first, last = block.find(b"\n"), block.rfind(b"\n")
        length = length + len(block) if first < 0 else max(length + first, len(block) - last)
        if length > LONGEST_ROW:
            raise ValueError(f"has a line of more than {LONGEST_ROW >> 20} MiB")
        length = length if first < 0 else len(block) - last - 1


def _check_depth(beginning: bytes) -> None:
    """ValueError for values in the beginning of a JSON file, from which types are told, that are nested too deeply."""
    for line in [beginning, *beginning.splitlines()] if beginning.count(b"[") + beginning.count(b"{") > DEEP else ():
        try:
            json.loads(line)
        except RecursionError as error:
            raise ValueError("holds lists and mappings that are nested too deeply") from error
        except ValueError:
            continue  # which its reader tells


def _check_parquet(file: BinaryIO) -> None:
    """ValueError for a footer or a row group that is too large."""
    import pyarrow.parquet as pq

    size = file.seek(0, 2)
    file.seek(-min(size, TRAILER.size), 2)
    trailer = file.read(TRAILER.size)
    if not trailer.endswith(b"PAR1") or len(trailer) < TRAILER.size:
        return  # no parquet file, which its reader says
    length = TRAILER.unpack(trailer)[0]
    if length > MOST_FOOTER:
        raise ValueError(f"has metadata of more than {MOST_FOOTER >> 20} MiB")
    file.seek(max(0, size - TRAILER.size - length))
    groups = read_row_groups(file.read(length))
    if len(groups) > MOST_GROUPS or max(map(len, groups), default=0) > MOST_COLUMNS:
        raise ValueError(f"has more than {MOST_GROUPS} row groups or {MOST_COLUMNS} columns")
    schema = pq.ParquetFile(file).schema
    lengths = [schema.column(index).length for index in range(len(schema))]
    for number, columns in enumerate(groups):
        if len(columns) != len(lengths):
            raise ValueError(f"is no readable parquet file (row group {number} lacks columns)")
        _check_group(file, columns, lengths, number)


def _check_group(file: BinaryIO, columns: Sequence[Column], lengths: Sequence[int], number: int) -> None:
    """ValueError for a row group that takes more memory than is bearable.

    Args:
        lengths: of each column bytes of a value, where that is fixed.
    """
    in_file = min(sum(column.compressed for column in columns), file.seek(0, 2))
    most = min(MOST_GROUP, max(ALWAYS_BEARABLE, MOST_TIMES * in_file))
    taken = 0
    for column, length in zip(columns, lengths, strict=True):
        taken += _pages(file, column, most)
        if column.kind != BYTE_ARRAY:
            width = WIDTHS[column.kind] if column.kind < len(WIDTHS) else max(length, WIDEST)
            taken += width * column.values
        else:
            taken += OFFSET * column.values
        if taken <= most and column.kind == BYTE_ARRAY:
            taken += _repeated(file, number, column, most - taken)
        if taken > most:
            raise ValueError(
                f"has a row group that takes more than {most >> 20} MiB of memory (number {number}): "
                "write it with fewer rows in each"
            )


def _pages(file: BinaryIO, column: Column, most: int) -> int:
    """Bytes of a column's pages in a row group, decompressed, counted until they are more than ``most``."""
    place, size = column.start, 0
    end = place + column.compressed
    for _ in range(MOST_PAGES):
        if place >= end or size > most:
            return size
        page = read_page(file, place)
        size, place = size + page.uncompressed, page.end
    raise ValueError(f"has a column of more than {MOST_PAGES} pages")


def _repeated(file: BinaryIO, number: int, column: Column, most: int) -> int:
    """Bytes of a column's texts that its pages hold once and rows repeat; at least that where it is above ``most``."""
    if DELTA_BYTE_ARRAY in column.encodings:
        return column.values * column.uncompressed  # as if each began with all of those before
    if not column.has_dictionary:
        return 0
    longest = read_page(file, column.start).uncompressed  # of a text of the dictionary, which comes first
    at_most = column.values * longest
    return at_most if at_most <= most else _decoded(file, number, column.path)


def _decoded(file: BinaryIO, number: int, column: str) -> int:
    """Bytes of a column's texts once decoded, counted without decoding them: each text is kept once."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    file.seek(0)
    table = pq.ParquetFile(file, read_dictionary=[column]).read_row_group(number, columns=[column])
    return sum(
        int(pc.sum(pc.binary_length(leaf.dictionary).take(leaf.indices)).as_py() or 0)
        for chunked in table.columns
        for chunk in chunked.chunks
        for leaf in _leaves(chunk)
    )


def _leaves(array: pa.Array) -> Iterator[pa.DictionaryArray]:
    """The texts in lists and structures."""
    import pyarrow as pa

    if pa.types.is_dictionary(array.type):
        yield array
    elif pa.types.is_struct(array.type):
        for index in range(array.type.num_fields):
            yield from _leaves(array.field(index))
    elif pa.types.is_list(array.type) or pa.types.is_large_list(array.type) or pa.types.is_map(array.type):
        yield from _leaves(array.values)
    else:
        raise ValueError(f"has texts in {array.type}, which are not read")
