"""Read videos in MP4, MOV, WebM and Matroska files, with PyAV, which comes with the extra ``video``.

Nothing that a file claims is believed: its frames are counted, and sizes are bounded before there is room for a frame.
"""

from __future__ import annotations

import io
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from workloads.media.containers import CONTAINERS, container_of
from workloads.media.limits import MOST_EDGE
from workloads.media.timeline import Timeline
from workloads.reading.mistakes import in_one_line

if TYPE_CHECKING:
    from fractions import Fraction
    from types import TracebackType

    from av import VideoFrame
    from av.container import InputContainer

MOST_FRAMES = 2_000_000  # in a file: nine hours at 60 a second
MOST_PIXELS = 36_000_000  # of a frame, as in 8K video; a decoder may keep 17 frames, of 1.5 bytes a pixel
MOST_DECODED = 50_000  # to reach those that are wanted
MOST_DECODED_PIXELS = MOST_DECODED * 1920 * 1080
DEFAULT_FRAME_SECONDS = 0.5  # of a video with one frame
TOO_LARGE = f"no more than {MOST_PIXELS // 10**6} million are decoded, scale it down"
UNREADABLE = "is not a readable video"


def require_playable(data: bytes) -> None:
    """Count a video's frames and decode the first; ValueError when it is damaged, too large, or PyAV is missing."""
    with Film(data) as film:
        if next(film.decode([0]), None) is None:
            raise ValueError(f"{UNREADABLE} (no frame can be decoded)")


class Film:
    """An open video file: when its frames are shown, and those of its frames that are wanted.

    Attributes:
        timeline: of all frames.

    Raises:
        ValueError: with the end of a sentence that begins with the name of the file; its other methods, too.
    """

    def __init__(self, data: bytes) -> None:
        self._container = _opened(data)
        try:
            self._index()
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> Film:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    def decode(self, wanted: Sequence[int]) -> Iterator[VideoFrame]:
        """The frames with the numbers ``wanted``, ascending, one at a time; fewer where the file breaks off.

        Decoding begins at the last key frame before each, or goes on from the one before where that is nearer.
        """
        from av import FFmpegError

        self._require_bearable(wanted)
        try:
            yield from self._decode(wanted)
        except FFmpegError as error:
            raise ValueError(f"{UNREADABLE} ({_reason(error)})") from error

    def _require_bearable(self, wanted: Sequence[int]) -> None:
        """ValueError where more pixels would be decoded than are, to reach the frames that are wanted."""
        needed, reached = 0, -1
        for number in wanted:
            key = bisect_left(self._shown_at, self._key_before(number))
            needed += max(0, number - max(key - 1, reached))
            reached = max(reached, number)
        width, height = self._stream.width, self._stream.height
        if needed * width * height > MOST_DECODED_PIXELS:
            raise ValueError(
                f"takes decoding {needed} frames of {width}x{height} pixels to see {len(wanted)} of them, and no more "
                f"than {MOST_DECODED_PIXELS // 10**9} thousand million pixels are decoded; scale it down or cut it"
            )

    def _key_before(self, number: int) -> int:
        """When the last key frame before a frame, or the first of all, is shown."""
        return self._keys[max(bisect_right(self._keys, self._shown_at[number]) - 1, 0)]

    def _decode(self, wanted: Sequence[int]) -> Iterator[VideoFrame]:
        decoded = 0
        last: VideoFrame | None = None
        playing: Iterator[VideoFrame] = iter(())
        for number in wanted:
            time = self._shown_at[number]
            key_time = self._key_before(number)
            if last is None or (last.pts or 0) < key_time:
                self._container.seek(key_time, stream=self._stream)
                playing, last = self._container.decode(self._stream), None
            while last is None or last.pts is None or last.pts < time:
                last = next(playing, None)
                if last is None:
                    return
                decoded += 1
                if decoded > MOST_DECODED:
                    raise ValueError(
                        f"has too few key frames: {MOST_DECODED} frames were decoded and {len(wanted)} wanted ones not "
                        "reached; encode it anew, or cut it"
                    )
            yield last

    def _index(self) -> None:
        """Note when frames are shown and which are key frames, from the packets, without decoding any."""
        from av import FFmpegError

        if not self._container.streams.video:
            raise ValueError(f"{UNREADABLE} (it has no pictures)")
        self._stream = self._container.streams.video[0]
        if self._stream.codec_context is None:
            raise ValueError(f"{UNREADABLE} (its codec is not known)")
        width, height = self._stream.width, self._stream.height
        if width * height > MOST_PIXELS or max(width, height) > MOST_EDGE:
            raise ValueError(f"has frames of {width}x{height} pixels; {TOO_LARGE}")
        self._stream.codec_context.options = _bounds()  # frames may be larger than the file says
        shown_at: list[int] = []
        keys: list[int] = []
        last_shown: tuple[int, int] | None = None  # time and duration
        try:
            for packet in self._container.demux(self._stream):
                time = packet.pts if packet.pts is not None else packet.dts
                if time is None or packet.is_discard:
                    continue
                if len(shown_at) == MOST_FRAMES:
                    raise ValueError(f"has more than the {MOST_FRAMES} frames that are counted; cut it")
                shown_at.append(time)
                last_shown = max(last_shown or (time, 0), (time, packet.duration or 0))
                if packet.is_keyframe:
                    keys.append(time)
        except FFmpegError as error:
            raise ValueError(f"{UNREADABLE} ({_reason(error)})") from error
        if not keys or last_shown is None or self._stream.time_base is None:
            raise ValueError(f"{UNREADABLE} (no frame can be decoded)")
        self._shown_at, self._keys = sorted(shown_at), sorted(keys)
        self.timeline = _timeline(self._shown_at, last_shown[1], self._stream.time_base)


def _timeline(shown_at: Sequence[int], last_duration: int, time_base: Fraction) -> Timeline:
    """When frames are shown. The last counts like the mean of the others, unless the file says that it lasts longer."""
    first, last, frames = shown_at[0], shown_at[-1], len(shown_at)
    starts = np.array([time - first for time in shown_at], np.float64) * float(time_base)
    if first == last:
        return Timeline(starts, DEFAULT_FRAME_SECONDS)
    span = float((last - first) * time_base)
    seconds = span * frames / (frames - 1)
    own = float(last_duration * time_base)
    return Timeline(starts, span + own if own > 1.5 * span / (frames - 1) else seconds)


def _reason(error: Exception) -> str:
    return in_one_line(getattr(error, "strerror", None) or str(error)) or type(error).__name__


def _bounds() -> dict[str, str]:
    """Options of FFmpeg's decoders, for indexing a file and for decoding."""
    return {"max_pixels": str(MOST_PIXELS)}


def _opened(data: bytes) -> InputContainer:
    container = container_of(data)
    if container is None:
        raise ValueError(f"{UNREADABLE} (none of {', '.join(CONTAINERS)})")
    try:
        import av
    except ImportError as error:
        raise ValueError("is a video, which takes PyAV to read: pip install 'vlcache[video]'") from error
    try:
        return av.open(io.BytesIO(data), "r", format=container, options=_bounds(), metadata_errors="replace")
    except av.FFmpegError as error:
        raise ValueError(f"{UNREADABLE} ({_reason(error)})") from error
