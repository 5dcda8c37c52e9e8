"""Every frame of an animation or video is shown for its own time, and frames are sampled by time."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import accumulate, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from runners.engine.media.clips import Clip, decode_clip
from runners.engine.media.sampling import DEFAULT_SAMPLING, FrameSampling
from workloads.media.delays import WITHOUT_DELAY_MS, delays_of
from workloads.media.timeline import Timeline
from workloads.records import Media

Encode = Callable[..., bytes]
FORMS = ("GIF", "PNG", "WEBP")
STEP = 8


def animation(encoded: Encode, form: str, delays_ms: Sequence[int]) -> bytes:
    """Frame ``i`` is grey, as bright as ``i`` times ``STEP``."""
    first, *others = [Image.new("RGB", (8, 8), (index * STEP % 256,) * 3) for index in range(len(delays_ms))]
    options = {"lossless": True} if form == "WEBP" else {}
    return encoded(first, form, others, duration=list(delays_ms), **options)


def video(shown_at: Sequence[int], last: int | None = None, file_format: str = "mp4") -> bytes:
    """A video whose frames are shown at some milliseconds; frame ``i`` is grey, as bright as ``i`` times ``STEP``."""
    av = pytest.importorskip("av", reason="needs PyAV, which comes with the extra 'video'")
    file = io.BytesIO()
    with av.open(file, "w", format=file_format) as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "1", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        packets = []
        for number, time in enumerate(shown_at):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number * STEP % 256, np.uint8), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            packets += stream.encode(frame)
        packets += stream.encode()
        for packet, (start, end) in zip(packets, pairwise([*shown_at, last or shown_at[-1] + 1]), strict=True):
            packet.duration = end - start
            container.mux(packet)
    return file.getvalue()


def seen(clip: Clip) -> list[int]:
    """Numbers of the frames that are looked at, read from how bright they are."""
    return [round(float(np.asarray(frame).mean()) / STEP) for frame in clip.frames]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("first_ms", "seconds"), [(20, 7.02), (5000, 12.0)])
def test_every_frames_own_delay_counts(form: str, first_ms: int, seconds: float, encoded: Encode) -> None:
    clip = decode_clip(Media("video", animation(encoded, form, [first_ms, *[1000] * 7]), "clip"))
    assert seen(clip) == list(range(8))
    assert clip.frame_seconds * 8 == pytest.approx(seconds)
    assert clip.moments == pytest.approx([0, *(first_ms / 1000 + index for index in range(7))])


@settings(max_examples=60)
@given(
    form=st.sampled_from(FORMS),
    delays_ms=st.lists(st.integers(2, 200).map(lambda hundredths: hundredths * 10), min_size=2, max_size=20),
    frames=st.integers(0, 8),
)
def test_the_frames_that_are_looked_at_are_on_display_then(
    form: str, delays_ms: list[int], frames: int, encoded: Encode
) -> None:
    clip = decode_clip(Media("video", animation(encoded, form, delays_ms), "clip"), FrameSampling(frames=frames))
    starts = [0, *accumulate(delays_ms)]
    seconds = starts.pop() / 1000
    assert clip.frame_seconds * len(clip.frames) == pytest.approx(seconds)
    half = max(clip.frame_seconds, seconds / len(starts)) / 2  # an interval, of frames or of what is asked
    for number, moment in zip(seen(clip), clip.moments, strict=True):
        begin, end = starts[number] / 1000, (starts[number] + delays_ms[number]) / 1000
        assert begin - half - 1e-9 <= moment <= end + half + 1e-9


def test_delays_that_browsers_do_not_believe_are_a_tenth_of_a_second(encoded: Encode) -> None:
    for delay_ms, shown_ms in ((0, WITHOUT_DELAY_MS), (10, WITHOUT_DELAY_MS), (20, 20), (30, 30)):
        for form in FORMS:
            found = delays_of(animation(encoded, form, [delay_ms] * 3))
            assert found is not None
            assert found.milliseconds == (shown_ms,) * 3, form


def test_a_picture_before_the_animation_is_no_frame_of_it(encoded: Encode) -> None:
    still, *frames = [Image.new("RGB", (8, 8), (index * STEP,) * 3) for index in (31, 0, 1, 2)]
    data = encoded(still, "PNG", frames, default_image=True, duration=[100, 200, 300])
    clip = decode_clip(Media("video", data, "clip"))
    assert seen(clip) == [0, 1, 2]
    assert clip.moments == pytest.approx((0, 0.1, 0.3))


@pytest.mark.parametrize("file_format", ["mp4", "mov", "matroska"])
def test_a_video_of_variable_rate_is_sampled_by_time(file_format: str) -> None:
    shown_at = [*range(0, 1000, 50), *range(1000, 10_000, 1000)]  # a second at 20 a second, then one a second
    clip = decode_clip(Media("video", video(shown_at, file_format=file_format), "film"), FrameSampling(frames=10))
    last_s = shown_at[-1] / 1000 * len(shown_at) / (len(shown_at) - 1)
    asked = [index * last_s / 10 for index in range(10)]
    assert seen(clip) == [bisect_right([time / 1000 for time in shown_at], moment) - 1 for moment in asked]
    assert clip.moments == pytest.approx(asked, abs=2e-3)


def test_a_long_last_frame_of_a_video_counts() -> None:
    clip = decode_clip(Media("video", video([0, 100, 200], last=5200), "film"), FrameSampling(frames=2))
    assert seen(clip) == [0, 2]
    assert clip.frame_seconds == pytest.approx(2.6, abs=0.01)


@given(
    intervals=st.lists(st.floats(0.001, 10), min_size=1, max_size=60),
    count=st.integers(1, 80),
)
def test_sampled_frames_are_within_half_an_interval_of_their_moment(intervals: list[float], count: int) -> None:
    ends = np.cumsum(intervals)
    timeline = Timeline(np.concatenate(([0.0], ends[:-1])), float(ends[-1]))
    count = min(count, timeline.frames)
    chosen = timeline.spread(count)
    half = max(timeline.seconds / count, timeline.seconds / timeline.frames) / 2
    for number, moment in zip(chosen, timeline.moments(chosen), strict=True):
        begin, end = timeline.starts[number], timeline.starts[number] + intervals[number]
        assert begin - half - 1e-9 <= moment <= end + half + 1e-9
    assert chosen == sorted(chosen)


@given(
    frames=st.integers(1, 500), rate=st.sampled_from([10, 24000 / 1001, 25, 30000 / 1001, 60]), jitter=st.floats(0, 0.2)
)
def test_at_a_constant_rate_frames_are_chosen_by_number(frames: int, rate: float, jitter: float) -> None:
    """Whatever the rounding of times in a file: as before times were read."""
    starts = np.arange(frames) / rate
    starts[1:-1] += jitter / rate * np.where(np.arange(frames)[1:-1] % 2, 1, -1)
    timeline = Timeline(np.round(starts, 3), frames / rate)
    chosen = DEFAULT_SAMPLING.choose(timeline)
    assert timeline.steady
    assert chosen == [index * frames // len(chosen) for index in range(len(chosen))]
    interval = timeline.seconds / len(chosen)
    assert timeline.moments(chosen) == tuple(index * interval for index in range(len(chosen)))
