"""Read structures of Thrift's compact protocol, in which parquet files describe themselves.

The protocol: https://github.com/apache/thrift, ``doc/specs/thrift-compact-protocol.md``. What is read is bounded by the
bytes that are there, and by how deep values are nested.
"""

from __future__ import annotations

from typing import Any, BinaryIO

STOP, TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = 0, 1, 2, 3, 7, 8, 9, 10, 11, 12
INTEGERS = (4, 5, 6)
DEEPEST = 16
LONGEST_NUMBER = 10  # bytes
LONGEST_BINARY = 64 * 2**20

Struct = dict[int, Any]
"""Values by the numbers of their fields."""


class DamagedStruct(ValueError):
    """The bytes are no structure of this protocol."""


def read_struct(file: BinaryIO, depth: int = 0) -> Struct:
    """Read a structure from a file's position on.

    Raises:
        DamagedStruct: there is none.
    """
    fields: Struct = {}
    field = 0
    while (head := _byte(file)) != STOP:
        kind = head & 0x0F
        field = field + (head >> 4) if head >> 4 else _zigzag(file)
        fields[field] = kind == TRUE if kind in (TRUE, FALSE) else _value(file, kind, depth)
    return fields


def _value(file: BinaryIO, kind: int, depth: int) -> Any:
    if depth > DEEPEST:
        raise DamagedStruct
    if kind in INTEGERS:
        return _zigzag(file)
    if kind == STRUCT:
        return read_struct(file, depth + 1)
    if kind in (TRUE, FALSE, BYTE):  # in lists and maps, where true and false take a byte each
        return _byte(file)
    if kind == DOUBLE:
        return _bytes(file, 8)
    if kind == BINARY:
        return _bytes(file, _varint(file))
    if kind in (LIST, SET):
        head = _byte(file)
        count = head >> 4 if head >> 4 < 0x0F else _varint(file)
        return [_value(file, head & 0x0F, depth + 1) for _ in range(count)]
    if kind == MAP:
        count = _varint(file)
        kinds = _byte(file) if count else 0
        return [(_value(file, kinds >> 4, depth + 1), _value(file, kinds & 0x0F, depth + 1)) for _ in range(count)]
    raise DamagedStruct


def _bytes(file: BinaryIO, count: int) -> bytes:
    if count > LONGEST_BINARY or len(found := file.read(count)) < count:
        raise DamagedStruct
    return found


def _byte(file: BinaryIO) -> int:
    return _bytes(file, 1)[0]


def _varint(file: BinaryIO) -> int:
    number = 0
    for place in range(LONGEST_NUMBER):
        byte = _byte(file)
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return number
    raise DamagedStruct


def _zigzag(file: BinaryIO) -> int:
    number = _varint(file)
    return (number >> 1) ^ -(number & 1)
