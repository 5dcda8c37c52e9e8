"""Small pictures of a run's media, decoded within bounds and encoded anew: no byte of a given file reaches the page."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from reports.run.changed_answers import KeptMedium, read_medium
from workloads.media.animations import Animation
from workloads.media.containers import container_of
from workloads.media.timeline import Timeline
from workloads.media.upright import picture_of
from workloads.media.videos import Film

LONGEST_SIDE = 320
QUALITY = 72
MOST_BYTES = 3_000_000  # of all pictures in a page, as they stand in it
MOST_FRAMES = 4


@dataclass(frozen=True)
class Thumbnail:
    """One picture, or one frame of a clip.

    Attributes:
        name: of its element in the page.
        address: a data URI.
    """

    name: str
    address: str
    width: int
    height: int


@dataclass
class Album:
    """The pictures of a page, each kept once, at most ``MOST_BYTES`` in all.

    Attributes:
        left_out: media for whose pictures there was no room.
        unreadable: files that are no pictures that can be decoded here.
    """

    run: Path
    prefix: str
    thumbnails: list[Thumbnail] = field(default_factory=list)
    left_out: int = 0
    unreadable: set[str] = field(default_factory=set)
    _found: dict[tuple[str, int], tuple[Thumbnail | None, ...]] = field(default_factory=dict)
    _bytes: int = 0

    def of(self, medium: KeptMedium, frames: int) -> tuple[Thumbnail | None, ...]:
        """One picture, or of a clip of ``frames`` at most ``MOST_FRAMES``, see ``moments``; None for a missing one."""
        wanted = moments(frames)
        if medium.file is None:
            return (None,) * len(wanted)
        key = medium.file, frames
        if key not in self._found:
            self._found[key] = self._make(medium, wanted, max(frames, 1))
        return self._found[key]

    def _make(self, medium: KeptMedium, wanted: Sequence[int], frames: int) -> tuple[Thumbnail | None, ...]:
        data = read_medium(self.run, medium)
        if data is None:
            return (None,) * len(wanted)
        try:
            pictures = [_encoded(image) for image in _decoded(data, wanted, frames)]
        except Exception:  # decoders raise anything
            self.unreadable.add(medium.name if medium.file is None else medium.file)
            return (None,) * len(wanted)
        made: list[Thumbnail | None] = []
        for encoded, width, height in pictures:
            address = f"data:image/webp;base64,{b64encode(encoded).decode()}"
            if self._bytes + len(address) > MOST_BYTES:
                self.left_out += 1
                made.append(None)
                continue
            self._bytes += len(address)
            thumbnail = Thumbnail(f"{self.prefix}m{len(self.thumbnails)}", address, width, height)
            self.thumbnails.append(thumbnail)
            made.append(thumbnail)
        return tuple(made)


def moments(frames: int) -> list[int]:
    """Which frames of a clip of so many are shown; of a picture, which has none or one, the first."""
    count = min(max(frames, 1), MOST_FRAMES)
    return [place * max(frames, 1) // count for place in range(count)]


def _decoded(data: bytes, wanted: Sequence[int], frames: int) -> list[Image.Image]:
    """The frames ``wanted`` out of ``frames`` that are spread evenly over the file's own, as the engine saw them."""
    if container_of(data) is None:
        animation = Animation(data, draft=(2 * LONGEST_SIDE, 2 * LONGEST_SIDE))
        return _in_place(animation.timeline, animation.decode, wanted, frames)
    with Film(data) as film:
        return _in_place(film.timeline, lambda numbers: map(_small, film.decode(numbers)), wanted, frames)


def _in_place(
    timeline: Timeline, decode: Callable[[Sequence[int]], Iterable[Image.Image]], wanted: Sequence[int], frames: int
) -> list[Image.Image]:
    """A picture for each frame that is wanted; the last that can be decoded where a file breaks off."""
    spread = timeline.spread(frames)
    numbers = sorted({spread[place] for place in wanted})
    shown = list(decode(numbers))
    return [shown[min(numbers.index(spread[place]), len(shown) - 1)] for place in wanted]


def _small(frame: Any) -> Image.Image:
    """A frame of a video, scaled down as far as a thumbnail needs before it is turned."""
    scale = min(1.0, 2 * LONGEST_SIDE / max(frame.width, frame.height))
    return picture_of(frame, max(1, round(frame.width * scale)), max(1, round(frame.height * scale)))


def _encoded(image: Image.Image) -> tuple[bytes, int, int]:
    """A small WebP file, with width and height in pixels."""
    small = image.copy()
    small.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    out = io.BytesIO()
    small.save(out, "WEBP", quality=QUALITY, method=4)
    return out.getvalue(), small.width, small.height
