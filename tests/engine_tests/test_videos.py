"""Videos: the frames that are wanted come back, in their order and way up, and no file can flood the process."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runners.engine.errors import MediaError
from runners.engine.media.clips import decode_clip
from runners.engine.media.sampling import DEFAULT_SAMPLING, FrameSampling
from workloads.media import videos
from workloads.media.containers import container_of
from workloads.media.videos import Film, require_playable
from workloads.records import Media

MakeFilm = Callable[..., bytes]
STEP = 8
KINDS = [("mp4", "libx264"), ("mov", "libx264"), ("matroska", "libx264"), ("webm", "libvpx"), ("webm", "libvpx-vp9")]


def seen(data: bytes, sampling: FrameSampling) -> list[int]:
    """The numbers of the frames that are looked at, read from how bright they are."""
    clip = decode_clip(Media("video", data, "film"), sampling)
    return [round(float(np.asarray(frame).mean()) / STEP) for frame in clip.frames]


@pytest.mark.parametrize(("file_format", "codec"), KINDS)
def test_the_frames_that_are_sampled_are_those_of_the_film(make_film: MakeFilm, file_format: str, codec: str) -> None:
    film = make_film(20, file_format, codec)
    assert container_of(film) == ("mov" if file_format in ("mp4", "mov") else "matroska")
    assert seen(film, DEFAULT_SAMPLING) == [0, 5, 10, 15]
    assert seen(film, FrameSampling(fps=4)) == [0, 2, 5, 7, 10, 12, 15, 17]
    assert seen(film, FrameSampling(frames=3)) == [0, 6, 13]
    assert seen(film, FrameSampling(frames=99)) == list(range(20))
    clip = decode_clip(Media("video", film, "film"))
    assert clip.frame_seconds == pytest.approx(0.5, abs=0.01)
    assert {(frame.mode, frame.size) for frame in clip.frames} == {("RGB", (64, 48))}


@settings(max_examples=30)
@given(wanted=st.sets(st.integers(0, 39), min_size=1), key_every=st.sampled_from([1, 3, 12, 100]))
def test_any_frames_can_be_reached_from_any_key_frames(make_film: MakeFilm, wanted: set[int], key_every: int) -> None:
    with Film(make_film(40, key_every=key_every, step=6)) as film:
        assert film.timeline.frames == 40
        assert film.timeline.seconds == pytest.approx(4)
        frames = [frame.to_ndarray(format="rgb24").mean() for frame in film.decode(sorted(wanted))]
    assert [round(float(brightness) / 6) for brightness in frames] == sorted(wanted)


def test_only_what_lies_between_a_key_frame_and_a_wanted_frame_is_decoded(
    make_film: MakeFilm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(videos, "MOST_DECODED", 8)
    assert seen(make_film(40, key_every=10, step=6), FrameSampling(frames=2)) == [0, round(20 * 6 / STEP)]
    with pytest.raises(MediaError, match=r"^film has too few key frames: 8 frames"):
        seen(make_film(40, key_every=100), FrameSampling(frames=2))


def test_one_frame_is_a_clip_of_half_a_second(make_film: MakeFilm) -> None:
    clip = decode_clip(Media("video", make_film(1), "film"))
    assert (len(clip.frames), clip.frame_seconds) == (1, videos.DEFAULT_FRAME_SECONDS)


def test_large_frames_are_scaled_while_they_are_decoded(make_film: MakeFilm) -> None:
    clip = decode_clip(Media("video", make_film(4, size=(640, 320)), "film"), FrameSampling(frame_pixels=320 * 160))
    assert {frame.size for frame in clip.frames} == {(320, 160)}


@pytest.mark.parametrize(("matrix", "size"), [((0, 1, -1, 0), (48, 64)), ((-1, 0, 0, -1), (64, 48))])
def test_a_film_stands_the_way_up_that_it_was_taken(
    make_film: MakeFilm, matrix: Sequence[int], size: tuple[int, int]
) -> None:
    """Its header says how to turn it."""

    def written(a: int, b: int, c: int, d: int) -> bytes:
        one = 1 << 16
        return struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)

    film = make_film(4)
    track = film.index(b"tkhd")
    head, tail = film[:track], film[track:]
    turned = head + tail.replace(written(1, 0, 0, 1), written(*matrix), 1)
    assert turned != film
    assert decode_clip(Media("video", turned, "film")).frames[0].size == size


def test_frames_that_are_too_large_are_refused_whatever_the_header_says(
    make_film: MakeFilm, monkeypatch: pytest.MonkeyPatch
) -> None:
    film, loose = make_film(3), make_film(3, "mov", "png")  # frames of PNG files say themselves how large they are
    modest, boastful = (
        loose.replace(struct.pack(">HH", 64, 48), struct.pack(">HH", size, size)) for size in (16, 30_000)
    )
    assert len({loose, modest, boastful}) == 3
    monkeypatch.setattr(videos, "MOST_PIXELS", 64 * 48)
    for told in (film, modest, boastful):
        assert decode_clip(Media("video", told, "film")).frames[0].size == (64, 48)
    monkeypatch.setattr(videos, "MOST_PIXELS", 64 * 48 - 1)
    with pytest.raises(MediaError, match=r"^film has frames of 64x48 pixels; no more than 36 million are decoded"):
        decode_clip(Media("video", film, "film"))
    for told in (modest, boastful):
        with pytest.raises(MediaError, match=r"^film is not a readable video \(|^film has frames of"):
            decode_clip(Media("video", told, "film"))


def test_a_film_that_claims_to_be_endless_is_as_long_as_its_frames(make_film: MakeFilm) -> None:
    film = make_film(20)
    place = film.index(b"mvhd") + 20
    endless = film[:place] + struct.pack(">I", 2**32 - 1) + film[place + 4 :]
    assert seen(endless, DEFAULT_SAMPLING) == [0, 5, 10, 15]


def test_frames_are_counted_up_to_a_bound(make_film: MakeFilm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(videos, "MOST_FRAMES", 19)
    with pytest.raises(MediaError, match=r"^film has more than the 19 frames that are counted; cut it$"):
        seen(make_film(20), DEFAULT_SAMPLING)


@settings(max_examples=40)
@given(cut=st.floats(0, 1), flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4))
def test_a_damaged_film_is_decoded_or_refused_in_one_line(
    make_film: MakeFilm, cut: float, flips: list[tuple[float, int]]
) -> None:
    film = bytearray(make_film(6, "webm", "libvpx"))
    for place, value in flips:
        film[int(place * (len(film) - 1))] = value
    damaged = Media("video", bytes(film[: int(cut * len(film))]), "film")
    told = ""
    try:
        frames = len(decode_clip(damaged).frames)
    except MediaError as error:
        told, frames = str(error), 1
    assert 1 <= frames <= 6
    assert "\n" not in told


@pytest.mark.parametrize("begin", [b"\0\0\0 ftypisom", b"\x1aE\xdf\xa3"])
def test_what_only_begins_like_a_film_is_refused(make_film: MakeFilm, begin: bytes) -> None:
    with pytest.raises(ValueError, match=r"^is not a readable video \("):
        require_playable(begin + bytes(500))


def test_without_pyav_a_film_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MediaError) as caught:
        decode_clip(Media("video", b"\0\0\0 ftypisom", "film.mp4"))
    assert str(caught.value) == "film.mp4 is a video, which takes PyAV to read: pip install 'vlcache[video]'"
