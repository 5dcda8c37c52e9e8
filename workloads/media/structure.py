"""Refuse picture files whose structure would take decoders far more time or memory than their size and pixels do."""

from __future__ import annotations

import io
from collections.abc import Iterator

from workloads.media.tags import pages

MOST_READS = 50_000  # of pieces of a file, beside those that its size accounts for:
BYTES_PER_READ = 1024
BYTES_PER_GIF_READ = 64  # its blocks have at most 255 bytes
MOST_RUNS = 300_000  # of equal pixels, in a compressed BMP file: each is a piece
MOST_MARKERS = 20_000  # before the pixels of a JPEG file
MOST_SCAN_PIXELS = 2_000_000_000  # of all scans of a JPEG file: each passes over all pixels
MOST_COMMENT_BYTES = 2**20  # in front of the first frame of a GIF file
GIF = b"GIF8"
JPEG, SCAN, EXIF, MULTIPLE = b"\xff\xd8\xff", b"\xff\xda", b"Exif\0\0", b"MPF\0"
WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
NOTE_MARKERS = {0xE1: EXIF, 0xE2: MULTIPLE}


class MeteredFile(io.BytesIO):
    """A file in memory from which only so many pieces can be read, as decoders read one piece at a time.

    Of a file that consists of millions of tiny pieces, they would read for minutes.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        if data.startswith(b"BM"):
            self._left = MOST_RUNS
        else:
            self._left = MOST_READS + len(data) // (BYTES_PER_GIF_READ if data.startswith(GIF) else BYTES_PER_READ)

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as ``io.BytesIO`` does; ValueError when too many pieces have been read."""
        self._left -= 1
        if self._left < 0:
            raise ValueError("it consists of too many pieces")
        return super().read(size)


def require_bounded_structure(data: bytes) -> None:
    """ValueError, with a reason, for a file whose notes, entries or pieces would flood a decoder."""
    pages(data)
    if data.startswith(JPEG):
        for kind, note in _notes(data).items():
            require_bounded_note(note if kind == EXIF else note.removeprefix(MULTIPLE))
    elif data.startswith(GIF):
        _require_short_comments(data)


def require_bounded_note(note: bytes) -> None:
    """ValueError for an EXIF note whose entries would flood a decoder."""
    while note.startswith(EXIF):
        note = note.removeprefix(EXIF)
    pages(note)


def require_few_scans(data: bytes, width: int, height: int) -> None:
    """ValueError for a progressive JPEG file that passes over its pixels too often."""
    if data.startswith(JPEG) and data.count(SCAN) * width * height > MOST_SCAN_PIXELS:
        raise ValueError("it has too many scans")


def _notes(data: bytes) -> dict[bytes, bytes]:
    """The notes in a JPEG file that have directories of entries, by how they begin: pieces of EXIF are put together."""
    found: dict[bytes, list[bytes]] = {EXIF: [], MULTIPLE: []}
    for marker, segment in _segments(data):
        begin = NOTE_MARKERS.get(marker)
        if begin == EXIF and segment.startswith(EXIF):
            found[EXIF].append(segment if not found[EXIF] else segment.removeprefix(EXIF))
        elif begin == MULTIPLE and segment.startswith(MULTIPLE):
            found[MULTIPLE] = [segment]
    return {kind: b"".join(pieces) for kind, pieces in found.items()}


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and contents of the segments of a JPEG file in front of its pixels."""
    place = 2
    for _ in range(MOST_MARKERS):
        if place + 4 > len(data) or data[place] != 0xFF or data[place + 1] == SCAN[1]:
            return
        marker = data[place + 1]
        if marker == 0xFF:
            place += 1
        elif marker in WITHOUT_LENGTH:
            place += 2
        else:
            length = int.from_bytes(data[place + 2 : place + 4], "big")
            yield marker, data[place + 4 : place + 2 + length]
            place += 2 + max(length, 2)
    raise ValueError("it has too many segments")


def _require_short_comments(data: bytes) -> None:
    """Comments in front of the first frame; Pillow puts them together piece by piece."""
    place = 13 + (3 * 2 ** ((data[10] & 7) + 1) if len(data) > 10 and data[10] & 128 else 0)
    begin = place
    while place + 1 < len(data) and data[place] == 0x21:
        place += 2
        while place < len(data) and data[place]:
            place += data[place] + 1
        place += 1
        if place - begin > MOST_COMMENT_BYTES:
            raise ValueError("it begins with too long comments")
