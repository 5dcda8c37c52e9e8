"""Encode and check files of entries: safetensors with checksums of all tensors, or their layers, and all else in them.

The header of a file follows from its description alone, so it is compared with what the description demands, byte by
byte: no number in it is believed before its checksum held, and nothing is allocated before. The checksums
(XXH3, 128 bits) find damage at the rate of memory; they keep out nobody who may write to the directory as its owner.

Files are read, not mapped: a file that another process truncates would end this one with SIGBUS, and bytes that were
checked could change before they are used.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, BinaryIO, Literal

from annotated_types import Interval, Len
from xxhash import xxh3_128

from workloads.errors import UsageError
from workloads.reading import Text, read_json

FORMAT = 3
"""Version of the engine's entries; part of what every scope is made of."""
MOST_HEADER = 1 << 20
MOST_BYTES = 1 << 40
CHUNK = 1 << 21
"""Bytes that are read at once, and hashed while they are in the processor's cache."""
ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I8": 1}

Kind = Literal["media", "prefix"]
Digest = Annotated[Text, Len(32, 32)]
Size = Annotated[int, Interval(ge=0, le=1 << 32)]


class BadEntry(Exception):
    """A file that is not the entry that it should be; the text says why."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor of a file.

    Attributes:
        dtype: as safetensors names it.
        digests: XXH3 of its parts, 32 hexadecimal digits each. Parts are of equal size: the whole, or its layers, of
            which each is read and checked for itself.
    """

    name: Text
    dtype: Literal["F32", "F16", "BF16", "I64", "I8"]
    shape: Annotated[tuple[Size, ...], Len(0, 8)]
    digests: Annotated[tuple[Digest, ...], Len(1, 4096)]

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor."""
        return math.prod(self.shape) * ITEM_BYTES[self.dtype]

    @property
    def part_bytes(self) -> int:
        """Bytes of a part."""
        return self.nbytes // len(self.digests)

    def require(self, part: int, digest: str) -> None:
        """BadEntry unless a part has that digest."""
        if digest != self.digests[part]:
            raise BadEntry(f"its tensor {self.name} fails its checksum")


@dataclass(frozen=True)
class About:
    """Whose entry it is, for people.

    Attributes:
        created: seconds since 1970.
    """

    namespace: str
    model: str
    runner: str
    created: float


@dataclass(frozen=True)
class Description:
    """All that a file says besides the numbers in its tensors.

    Attributes:
        scope: what the entry is valid for, see ``scope``.
        key: content hash of the medium or the prefix, 64 hexadecimal digits.
        fields: what belongs to the entry besides tensors.
    """

    scope: Digest
    kind: Kind
    key: Annotated[Text, Len(64, 64)]
    about: About
    fields: dict[str, Any]
    tensors: Annotated[tuple[StoredTensor, ...], Len(1, 16)]
    format: int = field(default=FORMAT)

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.nbytes for tensor in self.tensors)

    def header(self) -> bytes:
        """Write the head of the file: its length in 8 bytes, then JSON as safetensors has it."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        tensors: dict[str, Any] = {"__metadata__": {"entry": text, "xxh3": digest_of(text.encode())}}
        start = 0
        for tensor in self.tensors:
            end = start + tensor.nbytes
            tensors[tensor.name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [start, end]}
            start = end
        encoded = json.dumps(tensors, separators=(",", ":")).encode()
        encoded += b" " * (-len(encoded) % 8)
        return len(encoded).to_bytes(8, "little") + encoded


def digest_of(*pieces: bytes | memoryview) -> str:
    """Hash bytes that lie one after the other."""
    hasher = xxh3_128()
    for piece in pieces:
        hasher.update(piece)
    return hasher.hexdigest()


def read_description(stream: BinaryIO) -> Description:
    """Read the head of a file, and check that the file is as long as it says.

    Raises:
        BadEntry: anything in it is not as it was written.
    """
    start = stream.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or not 0 < length <= MOST_HEADER:
        raise BadEntry("it has no header of a bounded length")
    encoded = stream.read(length)
    description = _described(encoded)
    if description.header() != start + encoded:
        raise BadEntry("its header is not that of its description")
    expected, size = 8 + length + description.nbytes, os.fstat(stream.fileno()).st_size
    if description.nbytes > MOST_BYTES or size != expected:
        raise BadEntry(f"it has {size} bytes instead of {expected}")
    return description


def _described(encoded: bytes) -> Description:
    try:
        head = read_json(encoded, dict[str, Any])
        metadata = head.get("__metadata__")
        if not isinstance(metadata, dict):
            raise BadEntry("it has no description")
        text = metadata.get("entry")
        if not isinstance(text, str) or metadata.get("xxh3") != digest_of(text.encode()):
            raise BadEntry("its description fails its checksum")
        description = read_json(text, Description)
    except (UsageError, UnicodeError, RecursionError) as error:
        raise BadEntry("its header cannot be read") from error
    if description.format != FORMAT:
        raise BadEntry(f"it is of format {description.format}, not {FORMAT}")
    if any(tensor.nbytes % len(tensor.digests) for tensor in description.tensors):
        raise BadEntry("the parts of its tensors are not of one size")
    return description


def read_tensors(stream: BinaryIO, tensors: Sequence[StoredTensor], rooms: Sequence[memoryview]) -> None:
    """Read tensors of one part that lie one after the other into ``rooms``, writable bytes of their sizes; check them.

    Raises:
        BadEntry: the file ends before, or a tensor fails its checksum.
    """
    for tensor, room in zip(tensors, rooms, strict=True):
        hasher = xxh3_128()
        for piece in _read(stream, room):
            hasher.update(piece)
        tensor.require(0, hasher.hexdigest())


def check_tensors(stream: BinaryIO, tensors: Sequence[StoredTensor]) -> None:
    """Check every part of tensors, and keep none of them; takes a chunk of memory.

    Raises:
        BadEntry: as ``read_tensors``.
    """
    for tensor in tensors:
        for part in range(len(tensor.digests)):
            hasher, left = xxh3_128(), tensor.part_bytes
            while left:
                piece = stream.read(min(CHUNK, left))
                if not piece:
                    raise BadEntry("it ends before its tensors do")
                hasher.update(piece)
                left -= len(piece)
            tensor.require(part, hasher.hexdigest())


def _read(stream: BinaryIO, room: memoryview) -> Iterator[memoryview]:
    """Fill ``room`` from a stream; yields every piece that was read. BadEntry where the file ends before."""
    done = 0
    while done < len(room):
        count = stream.readinto(room[done : done + CHUNK])  # type: ignore[attr-defined]
        if not count:
            raise BadEntry("it ends before its tensors do")
        yield room[done : done + count]
        done += count
