"""Bound what a file of rows takes in memory before it is read: a parquet file of 600 bytes can hold gigabytes.

Of a parquet file, the metadata, the row groups and what their columns take once decoded are bounded: values of a fixed
width by their number, texts and bytes by what their dictionaries repeat, and pages by what their own headers say. Of
JSON and CSV, lines are.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from workloads.datasets.pages import read_page
from workloads.reading.regular import open_regular

if TYPE_CHECKING:
    import pyarrow as pa

MOST_FOOTER = 64 * 2**20  # bytes of a parquet file's metadata
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
WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}
OFFSET = 4  # bytes beside each text
WIDEST = 16


def require_bearable_rows(path: Path) -> None:
    """Check that the rows of a local file can be read within bounds.

    Raises:
        ValueError: with the end of a sentence that begins with the name of the file.
        OSError: it cannot be read, or is no regular file.
    """
    with open_regular(path) as file:
        if path.suffix == ".parquet":
            _check_parquet(file)
        else:
            _check_lines(file, is_json=path.suffix in (".json", ".jsonl"))


def _check_lines(file: BinaryIO, is_json: bool) -> None:
    """ValueError for a line that is too long, or a list of JSON that is read as a whole and too large."""
    size = file.seek(0, 2)
    file.seek(0)
    if is_json:
        _check_depth(file.read(READ_AT_ONCE))
        file.seek(0)
    if is_json and size > MOST_WHOLE and file.read(BLOCK).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"[":
        raise ValueError(f"is a list of more than {MOST_WHOLE >> 20} MiB: make it one object a line")
    if size <= LONGEST_ROW:
        return
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
    if TRAILER.unpack(trailer)[0] > MOST_FOOTER:
        raise ValueError(f"has metadata of more than {MOST_FOOTER >> 20} MiB")
    metadata = pq.ParquetFile(file).metadata
    if metadata.num_row_groups > MOST_GROUPS or metadata.num_columns > MOST_COLUMNS:
        raise ValueError(f"has more than {MOST_GROUPS} row groups or {MOST_COLUMNS} columns")
    for number in range(metadata.num_row_groups):
        _check_group(file, metadata, number)


def _check_group(file: BinaryIO, metadata: Any, number: int) -> None:
    """ValueError for a row group that takes more memory than is bearable."""
    columns = [metadata.row_group(number).column(index) for index in range(metadata.num_columns)]
    in_file = min(sum(max(column.total_compressed_size, 0) for column in columns), file.seek(0, 2))
    most = min(MOST_GROUP, max(ALWAYS_BEARABLE, MOST_TIMES * in_file))
    taken = 0
    for index, column in enumerate(columns):
        taken += _pages(file, column, most)
        if column.physical_type != "BYTE_ARRAY":
            width = WIDTHS.get(column.physical_type, max(metadata.schema.column(index).length, WIDEST))
            taken += width * column.num_values
        else:
            taken += OFFSET * column.num_values
        if taken <= most and column.physical_type == "BYTE_ARRAY":
            taken += _repeated(file, number, column, most - taken)
        if taken > most:
            raise ValueError(
                f"has a row group that takes more than {most >> 20} MiB of memory (number {number}): "
                "write it with fewer rows in each"
            )


def _pages(file: BinaryIO, column: Any, most: int) -> int:
    """Bytes of a column's pages in a row group, decompressed, counted until they are more than ``most``."""
    place = _start(column)
    end = place + max(column.total_compressed_size, 0)
    size = 0
    for _ in range(MOST_PAGES):
        if place >= end or size > most:
            return size
        page = read_page(file, place)
        size, place = size + page.uncompressed, page.end
    raise ValueError(f"has a column of more than {MOST_PAGES} pages")


def _start(column: Any) -> int:
    places = (column.data_page_offset, column.dictionary_page_offset)
    return min((place for place in places if place is not None and place > 0), default=0)


def _repeated(file: BinaryIO, number: int, column: Any, most: int) -> int:
    """Bytes of a column's texts that its pages hold once and rows repeat; at least that where it is above ``most``."""
    if any("DELTA_BYTE_ARRAY" in encoding for encoding in column.encodings):
        return int(column.num_values * column.total_uncompressed_size)  # as if each began with all of those before
    if not column.has_dictionary_page:
        return 0
    longest = read_page(file, _start(column)).uncompressed  # of a text of the dictionary, which comes first
    at_most = int(column.num_values) * longest
    return at_most if at_most <= most else _decoded(file, number, column.path_in_schema)


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
