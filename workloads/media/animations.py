"""Read animated pictures, frame by frame, each with its own time: GIF, PNG and WebP files, and the pages of TIFF files.

A still picture is an animation of one frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from workloads.media import limits
from workloads.media.containers import CONTAINERS
from workloads.media.delays import Delays, delays_of
from workloads.media.limits import require_decodable
from workloads.media.pictures import FORMATS, opened, reasons, sentences, shown
from workloads.media.timeline import Timeline

DEFAULT_FRAME_MS = 500.0  # of pages, and of a still picture


def require_playable(data: bytes) -> None:
    """Decode the first frame of an animated picture; ValueError when it is damaged or too large."""
    with sentences("video", (*CONTAINERS, *FORMATS)):
        next(Animation(data).decode([0]))


class Animation:
    """A decoded animated picture: when its frames are shown, and those of its frames that are wanted.

    Every frame takes those before to decode, so the pixels of all of them are bounded before the first is.

    Raises:
        ValueError: see ``pictures.opened``; also for more pixels in all than are decoded, with the end of a sentence.
    """

    def __init__(self, data: bytes, draft: tuple[int, int] | None = None) -> None:
        found = delays_of(data)
        if found is not None:
            _require_bearable(found.frames, found.size)
        self._image = opened(data, draft)
        self.timeline = self._index(found)

    def decode(self, wanted: Sequence[int]) -> Iterator[Image.Image]:
        """The frames with the numbers ``wanted``, ascending, in RGB, one at a time."""
        for number in wanted:
            with reasons():
                self._image.seek(number + self._hidden)
                require_decodable(*self._image.size)  # pages of a file differ in size
                self._image.load()
            frame = shown(self._image)
            yield frame.copy() if frame is self._image and self.timeline.frames > 1 else frame

    def _index(self, found: Delays | None) -> Timeline:
        """Note when frames are shown, as far as the file and Pillow agree on which there are."""
        with reasons():
            own = int(getattr(self._image, "n_frames", 1))
        if found is None:
            _require_bearable(own, self._image.size)
        self._hidden = found.hidden if found is not None and own > 1 else 0
        count = max(1, own - self._hidden if found is None else min(own - self._hidden, found.frames))
        if found is not None and found.milliseconds is not None and count > 1:
            delays_ms = list(found.milliseconds[:count])
        else:
            one = float(self._image.info.get("duration") or DEFAULT_FRAME_MS)
            delays_ms = [one if count == 1 else DEFAULT_FRAME_MS] * count
        ends = np.cumsum(np.array(delays_ms)) / 1000
        return Timeline(np.concatenate(([0.0], ends[:-1])), float(ends[-1]))


def _require_bearable(frames: int, size: tuple[int, int]) -> None:
    """ValueError for more pixels in all than are decoded."""
    width, height = size
    require_decodable(width, height)
    if frames > 1 and width * height * frames > limits.MOST_CLIP_PIXELS:
        raise ValueError(
            f"has {frames} frames of {width}x{height} pixels; no more than "
            f"{limits.MOST_CLIP_PIXELS // 10**6} million are decoded in all, scale it down or cut it"
        )
