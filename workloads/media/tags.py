"""Walk through the directories of TIFF files and of EXIF notes, within bounds, before Pillow reads them.

Entries may overlap: a note of one megabyte whose 60,000 entries all point at the same bytes takes Pillow 50 GB.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

MOST_PAGES = 10_000
MOST_ENTRIES = 100_000  # of all directories of a file
MOST_TILE_PIXELS = 2**24  # a tile is decoded whole, however small its page
SPARE_BYTES = 2**23  # of entries, beside twice the file's size: some may be damaged and claim all the rest
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
ORDERS = {b"II": "<", b"MM": ">"}
CLASSIC, BIG = 42, 43
WIDTH, HEIGHT, TILE_WIDTH, TILE_HEIGHT = 256, 257, 322, 323
SUB_DIRECTORIES = (34665, 34853, 40965)  # EXIF, GPS, interoperability


@dataclass(frozen=True)
class Page:
    """Size in pixels that a page claims."""

    width: int
    height: int


def pages(data: bytes) -> list[Page]:
    """The pages of a TIFF file, or the directory of an EXIF note; none when ``data`` is neither.

    Raises:
        ValueError: it has more pages or entries than are read, or its entries or tiles overlap or are too large.
    """
    walk = _Walk.begin(data)
    return list(walk.pages()) if walk is not None else []


@dataclass
class _Walk:
    """One pass through the directories of a file.

    Attributes:
        order: of bytes, as in ``struct``.
        big: whether it is BigTIFF, with offsets of 8 bytes.
        first: the offset of the first directory.
        entries, value_bytes: how many were passed, and the size of their values.
    """

    data: bytes
    order: str
    big: bool
    first: int
    entries: int = 0
    value_bytes: int = 0

    @classmethod
    def begin(cls, data: bytes) -> _Walk | None:
        order = ORDERS.get(data[:2])
        if order is None or len(data) < 16:
            return None
        big = BIG in data[2:4]
        first: int = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0]
        return cls(data, order, big, first)

    def pages(self) -> Iterator[Page]:
        seen: set[int] = set()
        place = self.first
        while place and place not in seen:
            seen.add(place)
            if len(seen) > MOST_PAGES:
                raise ValueError(f"has more than the {MOST_PAGES} pages that are read; split it")
            page, place = self._directory(place, nested=False)
            if page is None:
                return
            yield page

    def _directory(self, place: int, nested: bool) -> tuple[Page | None, int]:
        """The page that a directory describes, and the place of the next one; None where the file ends before."""
        number, link = ("Q", "Q") if self.big else ("H", "I")
        size = 20 if self.big else 12
        try:
            (count,) = struct.unpack_from(self.order + number, self.data, place)
        except struct.error:
            return None, 0
        place += struct.calcsize(number)
        self.entries += min(count, (len(self.data) - place) // size)
        if self.entries > MOST_ENTRIES:
            raise ValueError(f"has more than the {MOST_ENTRIES} entries that are read")
        known: dict[int, int] = {}
        for at in range(place, min(place + count * size, len(self.data) - size + 1), size):
            tag, value = self._entry(at)
            known.setdefault(tag, value)
        if known.get(TILE_WIDTH, 0) * known.get(TILE_HEIGHT, 0) > MOST_TILE_PIXELS:
            raise ValueError(f"has tiles of more than the {MOST_TILE_PIXELS} pixels that are decoded at once")
        if not nested:
            for tag in SUB_DIRECTORIES:
                if known.get(tag):
                    self._directory(known[tag], nested=True)
        try:
            (following,) = struct.unpack_from(self.order + link, self.data, place + count * size)
        except (struct.error, OverflowError):
            following = 0
        return Page(known.get(WIDTH, 0), known.get(HEIGHT, 0)), following

    def _entry(self, at: int) -> tuple[int, int]:
        """Tag and value, or the offset of the value, of one entry; its size is added to those before."""
        tag, kind, count = struct.unpack_from(self.order + ("HHQ" if self.big else "HHI"), self.data, at)
        width = TYPE_BYTES.get(kind, 0)
        inside = 8 if self.big else 4
        at += 12 if self.big else 8
        if width * count <= inside:
            letter = {1: "B", 2: "H", 4: "I", 8: "Q"}.get(width) if count else None
            return tag, struct.unpack_from(self.order + letter, self.data, at)[0] if letter else 0
        (offset,) = struct.unpack_from(self.order + ("Q" if self.big else "I"), self.data, at)
        self.value_bytes += max(0, min(width * count, len(self.data) - offset))
        if self.value_bytes > 2 * len(self.data) + SPARE_BYTES:
            raise ValueError("has entries that overlap, and would take many times its size")
        return tag, offset
