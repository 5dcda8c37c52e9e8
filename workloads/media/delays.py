"""Read how long each frame of an animated picture is shown, and how large it is, from its file, without decoding.

Pillow tells the delay of a frame only when it has decoded those before.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from workloads.media.tags import pages

MOST_FRAMES = 50_000
MOST_BLOCKS = 1_100_000  # of a GIF file, of at most 255 bytes each
MOST_CHUNKS = 200_000  # of a PNG or WebP file
SHORTEST_MS = 20.0  # as in browsers, which show a frame with a shorter delay, or none, for ...
WITHOUT_DELAY_MS = 100.0
PNG, GIF, RIFF, WEBP = b"\x89PNG\r\n\x1a\n", b"GIF8", b"RIFF", b"WEBP"


@dataclass(frozen=True)
class Delays:
    """The frames of an animated picture.

    Attributes:
        milliseconds: how long each frame is shown; None where its format has no times.
        frames: number of frames.
        size: width and height of the area that they are drawn into, or of the largest page.
        hidden: 1 if the file begins with a picture that is no frame of the animation, as in some PNG files, else 0.
    """

    milliseconds: tuple[float, ...] | None
    frames: int
    size: tuple[int, int]
    hidden: int = 0


def delays_of(data: bytes) -> Delays | None:
    """The frames of an animated GIF, PNG or WebP file, or the pages of a TIFF file; None for a still picture.

    Raises:
        ValueError: more frames than are read; the end of a sentence.
    """
    found: Delays | None = None
    if data.startswith(GIF) and len(data) >= 13:
        found = _Gif(data).delays()
    elif data.startswith(PNG) and len(data) >= 24:
        found = _of_png(data)
    elif data.startswith(RIFF) and data[8:12] == WEBP:
        found = _of_webp(data)
    elif many := pages(data):
        found = Delays(None, len(many), max(((p.width, p.height) for p in many), key=lambda size: size[0] * size[1]))
    return found if found is not None and found.frames > 1 else None


def _shown_ms(delay_ms: float) -> float:
    return delay_ms if delay_ms >= SHORTEST_MS else WITHOUT_DELAY_MS


def _with_times(delays_ms: list[float], size: tuple[int, int], hidden: int = 0) -> Delays:
    return Delays(tuple(map(_shown_ms, delays_ms)), len(delays_ms), size, hidden)


def _bounded(delays_ms: list[float]) -> list[float]:
    if len(delays_ms) > MOST_FRAMES:
        raise ValueError(f"has more than the {MOST_FRAMES} frames that are read; cut it")
    return delays_ms


class _Gif:
    """One pass over the blocks of a GIF file, as far as they are whole."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place, self._blocks = data, 13, 0

    def delays(self) -> Delays:
        data = self._data
        width, height = struct.unpack_from("<HH", data, 6)
        self._pass_table(data[10])
        delays_ms: list[float] = []
        delay_ms = 0.0
        while self._place + 1 < len(data) and data[self._place] != 0x3B:
            mark = data[self._place]
            self._place += 1
            self._count()
            if mark == 0x21:
                if data[self._place] == 0xF9 and self._place + 4 < len(data):
                    delay_ms = 10.0 * struct.unpack_from("<H", data, self._place + 3)[0]
                self._place += 1
                self._pass_blocks()
            elif mark == 0x2C and self._place + 10 <= len(data):
                left, top, wide, high, flags = struct.unpack_from("<HHHHB", data, self._place)
                width, height = max(width, left + wide), max(height, top + high)
                self._place += 9
                self._pass_table(flags)
                self._place += 1
                self._pass_blocks()
                delays_ms.append(delay_ms)
                _bounded(delays_ms)
                delay_ms = 0.0
        return _with_times(delays_ms, (width, height))

    def _pass_table(self, flags: int) -> None:
        if flags & 128:
            self._place += 3 * 2 ** ((flags & 7) + 1)

    def _pass_blocks(self) -> None:
        data, place, blocks = self._data, self._place, 0
        while place < len(data) and data[place] and blocks <= MOST_BLOCKS:
            place += data[place] + 1
            blocks += 1
        self._place = place + 1
        self._count(blocks)

    def _count(self, blocks: int = 1) -> None:
        self._blocks += blocks
        if self._blocks > MOST_BLOCKS:
            raise ValueError(f"has more than the {MOST_BLOCKS} blocks that are read; cut it")


def _of_png(data: bytes) -> Delays | None:
    """Only a file that says that it is animated, before its first pixels, is."""
    delays_ms: list[float] = []
    claimed, pixels_seen, hidden = 0, False, 0
    for kind, place, length in _chunks(data, 8, ">I4s", 4):
        if kind == b"acTL" and length >= 8 and not pixels_seen:
            (claimed,) = struct.unpack_from(">I", data, place)
        elif kind == b"IDAT" and not pixels_seen:
            pixels_seen, hidden = True, int(not delays_ms)
        elif kind == b"fcTL" and length >= 26:
            share, of = struct.unpack_from(">HH", data, place + 20)
            delays_ms.append(1000.0 * share / (of or 100))
            _bounded(delays_ms)
        elif kind == b"IEND":
            break
    if not claimed:
        return None
    width, height = struct.unpack_from(">II", data, 16)
    return _with_times(delays_ms[:claimed], (width, height), hidden)


def _of_webp(data: bytes) -> Delays:
    delays_ms: list[float] = []
    size = (0, 0)
    for kind, place, length in _chunks(data, 12, "<4sI", 0):
        if kind == b"VP8X" and length >= 10:
            size = _of_24_bits(data, place + 4) + 1, _of_24_bits(data, place + 7) + 1
        elif kind == b"ANMF" and length >= 16:
            delays_ms.append(float(_of_24_bits(data, place + 12)))
            _bounded(delays_ms)
    return _with_times(delays_ms, size)


def _of_24_bits(data: bytes, place: int) -> int:
    return int.from_bytes(data[place : place + 3], "little")


def _chunks(data: bytes, place: int, header: str, trailer: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, place and length of the whole chunks of a PNG or RIFF file."""
    even = header.startswith("<")  # RIFF fills up to an even length
    for _ in range(MOST_CHUNKS):
        if place + 8 > len(data):
            return
        first, second = struct.unpack_from(header, data, place)
        kind, length = (first, second) if even else (second, first)
        if place + 8 + length > len(data):
            return
        yield kind, place + 8, length
        place += 8 + length + (length & 1 if even else trailer)
