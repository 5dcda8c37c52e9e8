"""Files of every form with bytes changed, cut out or put in are decoded, or refused in one printable line."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from runners.engine.media.clips import decode_clip
from runners.engine.media.pictures import decode_image
from runners.engine.media.sampling import FrameSampling
from workloads.files.attachments import _require_playable
from workloads.media.animations import Animation
from workloads.media.pictures import decode, decode_as_stored
from workloads.records import Media, MediaKind

Encode = Callable[..., bytes]
MOST_SECONDS = 2.0
SAMPLING = FrameSampling(frames=3)
NOISE = np.random.default_rng(1).integers(0, 256, (12, 16, 4), dtype=np.uint8)
STILL: dict[str, tuple[str, dict[str, Any]]] = {
    "PNG": ("RGBA", {}),
    "palette PNG": ("P", {"transparency": bytes(range(256))}),
    "JPEG": ("RGB", {}),
    "progressive JPEG": ("RGB", {"progressive": True}),
    "WEBP": ("RGBA", {}),
    "GIF": ("P", {"transparency": 3}),
    "BMP": ("RGB", {}),
    "TIFF": ("RGBA", {}),
    "compressed TIFF": ("LA", {"compression": "tiff_lzw"}),
    "float TIFF": ("F", {}),
}
ANIMATED = ("PNG", "GIF", "WEBP", "TIFF")
FILMS = [("mp4", "libx264"), ("mov", "libx264"), ("matroska", "libx264"), ("webm", "libvpx")]
FILM_OF: dict[str, bytes] = {}  # made once
places = st.floats(0, 1, exclude_max=True)
changes = st.lists(
    st.one_of(
        st.tuples(st.just("set"), places, st.binary(min_size=1, max_size=4)),
        st.tuples(st.just("insert"), places, st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("delete"), places, st.binary(min_size=1, max_size=16)),
        st.tuples(st.just("fill"), places, st.sampled_from([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4)])),
        st.tuples(st.just("cut"), places, st.just(b"")),
    ),
    min_size=1,
    max_size=4,
)
headers = st.tuples(st.just("set"), st.floats(0, 0.1), st.binary(min_size=1, max_size=4))


def mutated(data: bytes, todo: list[tuple[str, float, bytes]]) -> bytes:
    for how, share, value in todo:
        place = int(share * len(data))
        if how == "cut":
            data = data[:place]
        elif how == "insert":
            data = data[:place] + value + data[place:]
        else:
            data = data[:place] + (b"" if how == "delete" else value) + data[place + len(value) :]
    return data


def still(form: str, encoded: Encode) -> bytes:
    mode, options = STILL[form]
    exif = Image.Exif()
    exif[0x112] = 6
    options = {**options, **({"exif": exif} if form in ("PNG", "JPEG", "WEBP") else {})}
    picture = Image.fromarray(NOISE).convert("L" if mode == "F" else mode).convert(mode)
    return encoded(picture, form.split()[-1], **options)


def animated(form: str, encoded: Encode) -> bytes:
    first, *others = [Image.fromarray(np.roll(NOISE, step, axis=1)) for step in range(4)]
    return encoded(first, form, others, **({} if form == "TIFF" else {"duration": [20, 500, 1000, 40]}))


def reason_of(attempt: Callable[[], object]) -> str:
    """Why a file is refused; nothing where it is decoded."""
    try:
        attempt()
    except ValueError as error:
        return str(error)
    return ""


def require_one_line(kind: MediaKind, data: bytes) -> None:
    """Decode a file, or see it refused, as the engine does and as the check of request files and lm-eval do."""
    started = time.process_time()
    media = Media(kind, data, "file")
    attempts: list[Callable[[], object]] = [lambda: decode_clip(media, SAMPLING), lambda: _require_playable(data)]
    if kind == "image":
        attempts = [lambda: decode_image(media), lambda: decode(data), lambda: decode_as_stored(data)]
    for attempt in attempts:
        line = reason_of(attempt)
        assert line.isprintable()
        assert len(line) < 1000
        assert line.startswith(("is ", "has ", "takes ", "file")) or line == ""
    assert time.process_time() - started < MOST_SECONDS


@settings(max_examples=300)
@given(form=st.sampled_from(sorted(STILL)), todo=changes, head=headers)
def test_a_damaged_picture_is_decoded_or_refused(
    form: str, todo: list[tuple[str, float, bytes]], head: tuple[str, float, bytes], encoded: Encode
) -> None:
    require_one_line("image", mutated(still(form, encoded), [*todo, head] if len(todo) % 2 else todo))


@settings(max_examples=300)
@given(form=st.sampled_from(ANIMATED), todo=changes)
def test_a_damaged_animation_is_decoded_or_refused(
    form: str, todo: list[tuple[str, float, bytes]], encoded: Encode
) -> None:
    require_one_line("video", mutated(animated(form, encoded), todo))


@pytest.mark.parametrize(("file_format", "codec"), FILMS)
@settings(max_examples=75)
@given(todo=changes)
def test_a_damaged_film_is_decoded_or_refused(
    file_format: str, codec: str, todo: list[tuple[str, float, bytes]], make_film: Callable[..., bytes]
) -> None:
    if file_format not in FILM_OF:
        FILM_OF[file_format] = make_film(6, file_format, codec)
    require_one_line("video", mutated(FILM_OF[file_format], todo))


@pytest.mark.parametrize("file_format", ANIMATED)
def test_an_animation_that_is_cut_off_is_told_in_words(file_format: str, encoded: Encode) -> None:
    first, *others = [Image.new("RGB", (16, 16), (40 * number, 0, 0)) for number in range(6)]
    data = encoded(first, file_format, others)
    told = set()
    for length in range(0, len(data), max(1, len(data) // 60)):
        try:
            animation = Animation(data[:length])
            assert [*animation.decode(range(animation.timeline.frames))]
        except ValueError as error:
            told.add(str(error))
    assert told
    assert not [text for text in told if "index" in text or "NoneType" in text or "argument" in text]
