"""Media files: what their identity depends on, and that no file can break or flood the process."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile

from runners.engine.errors import MediaError
from runners.engine.media.clips import decode_clip
from runners.engine.media.content_key import content_key
from runners.engine.media.pictures import decode_image
from runners.engine.media.sampling import CLIP_PIXELS, DEFAULT_SAMPLING, MOST_FRAMES, FrameSampling
from workloads.media.animations import DEFAULT_FRAME_MS
from workloads.media.timeline import Timeline
from workloads.records import Media, MediaKind

SIZE = (50, 40)
FRAME_MS = 40


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8))


def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **options)
    return buffer.getvalue()


def animated(frames: int, file_format: str, width: int = 32, frame_ms: int = FRAME_MS) -> Media:
    """Frame ``i`` is filled with red ``i``."""
    first, *others = [Image.new("RGB", (width, 32), (index, 0, 0)) for index in range(frames)]
    options = {"save_all": True, "append_images": others, "duration": frame_ms} if others else {}
    return Media("video", encoded(first, file_format, **options), "clip")


def claiming(width: int, height: int) -> bytes:
    """A PNG of some hundred bytes whose header claims a size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@given(
    st.lists(
        st.tuples(st.sampled_from(["image", "video"]), st.binary(max_size=4), st.text("ab", max_size=3)),
        unique=True,
        max_size=20,
    )
)
def test_a_content_key_depends_on_kind_bytes_and_processor_and_on_nothing_else(
    identities: list[tuple[MediaKind, bytes, str]],
) -> None:
    keys = [content_key(Media(kind, data, f"name-{i}", i / 100), fp) for i, (kind, data, fp) in enumerate(identities)]
    again = [content_key(Media(kind, data, "other"), fp) for kind, data, fp in identities]
    assert keys == again
    assert len(set(keys)) == len(identities)


def test_the_processor_fingerprint_names_the_settings_of_the_processor(lab: Any, monkeypatch: Any) -> None:
    before = lab.adapter.processor_fingerprint()
    assert lab.adapter.processor_fingerprint() == before
    with monkeypatch.context() as changed:
        changed.setattr(lab.adapter._image_processor, "size", {"shortest_edge": 256, "longest_edge": 4096})
        assert lab.adapter.processor_fingerprint() != before
    monkeypatch.setattr(lab.adapter, "sampling", FrameSampling(fps=1.0))
    assert lab.adapter.processor_fingerprint() != before


BROKEN = {
    "truncated PNG": encoded(noise(), "PNG")[:300],
    "PNG cut in its header": encoded(noise(), "PNG")[:20],
    "truncated JPEG": encoded(noise(), "JPEG")[:300],
    "truncated GIF": encoded(noise(), "GIF")[:300],
    "garbage": b"no picture at all" * 9,
    "zero bytes": b"",
}


@pytest.mark.parametrize("decode", [decode_image, decode_clip])
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named_in_one_line_that_is_always_the_same(name: str, decode: Any) -> None:
    kind: MediaKind = "image" if decode is decode_image else "video"
    lines = set()
    for _ in range(2):
        with pytest.raises(MediaError) as caught:
            decode(Media(kind, bytes(BROKEN[name]), name))
        lines.add(str(caught.value))
    (line,) = lines
    assert line.startswith(f"{name}: not a readable {kind} (")
    assert "\n" not in line
    assert "0x" not in line, "an address would differ from run to run"


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff\xe0", b"RIFF"]))
def test_any_bytes_are_decoded_or_refused(data: bytes, magic: bytes) -> None:
    for decode in (decode_image, decode_clip):
        with suppress(MediaError):
            decode(Media("image", magic + data, "any"))


@pytest.mark.parametrize(("width", "height"), [(50_000, 50_000), (11_000, 11_000), (2_000_000_000, 1)])
@pytest.mark.parametrize("decode", [decode_image, decode_clip])
def test_a_small_file_that_claims_a_huge_picture_is_refused_without_room_being_made(
    decode: Any, width: int, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: pytest.fail("pixels were allocated"))
    data = claiming(width, height)
    assert len(data) < 200
    with pytest.raises(MediaError, match=r"^bomb\.png: .*pixels"):
        decode(Media("image", data, "bomb.png"))


def test_no_file_starts_another_program() -> None:
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"
    with pytest.raises(MediaError, match=r"^note: not a readable image \(unknown format\)$"):
        decode_image(Media("image", script, "note"))


def test_a_later_page_may_be_no_larger_than_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [Image.new("RGB", size) for size in ((8, 8), (40, 40))]
    clip = Media("video", encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]), "pages.tiff")
    assert len(decode_clip(clip, FrameSampling(frames=2)).frames) == 2
    monkeypatch.setattr("workloads.media.limits.MOST_PIXELS", 1000)
    with pytest.raises(MediaError, match=r"^pages\.tiff: 40x40 pixels; "):
        decode_clip(clip, FrameSampling(frames=2))


def test_the_frames_of_a_clip_are_scaled_down_to_what_is_kept() -> None:
    (frame, *others) = decode_clip(animated(4, "PNG", 128), FrameSampling(frame_pixels=1024)).frames
    assert {frame.size, *(other.size for other in others)} == {(64, 16)}
    assert decode_clip(animated(4, "PNG", 128)).frames[0].size == (128, 32)


@given(width=st.integers(1, 30_000), height=st.integers(1, 30_000), count=st.integers(1, MOST_FRAMES))
def test_frames_keep_their_shape_and_are_bounded_one_by_one_and_together(width: int, height: int, count: int) -> None:
    wide, high = DEFAULT_SAMPLING.size(width, height, count)
    pixels = min(DEFAULT_SAMPLING.frame_pixels, CLIP_PIXELS // count)
    assert wide * high <= max(pixels, wide, high)
    if width * height <= pixels:
        assert (wide, high) == (width, height)
    assert abs(wide * height - high * width) <= max(width, height) * 1.5


@given(
    frames=st.integers(1, 10_000),
    seconds=st.floats(0.001, 1e9),
    sampling=st.builds(FrameSampling, fps=st.floats(0.01, 100), frames=st.just(0) | st.integers(1, 2000)),
)
def test_frames_are_chosen_evenly_and_as_many_as_asked_for(
    frames: int, seconds: float, sampling: FrameSampling
) -> None:
    chosen = sampling.choose(Timeline(np.arange(frames, dtype=np.float64) * (seconds / frames), seconds))
    wanted = sampling.frames or min(max(round(min(seconds * sampling.fps, 64)), 4), 64)
    assert len(chosen) == min(wanted, frames, MOST_FRAMES)
    assert chosen[0] == 0
    assert chosen[-1] < frames
    steps = {after - before for before, after in pairwise(chosen)}
    assert all(step >= 1 for step in steps)
    assert not steps or max(steps) - min(steps) <= 1


@pytest.mark.parametrize(
    ("mode", "file_format"),
    [
        ("1", "PNG"),
        ("L", "PNG"),
        ("LA", "PNG"),
        ("P", "PNG"),
        ("P", "GIF"),
        ("RGB", "JPEG"),
        ("RGBA", "PNG"),
        ("CMYK", "JPEG"),
    ],
)
def test_every_mode_becomes_rgb(mode: str, file_format: str) -> None:
    image = noise().convert(mode)
    decoded = decode_image(Media("image", encoded(image, file_format), mode))
    assert (decoded.mode, decoded.size) == ("RGB", SIZE)
    if file_format != "JPEG":
        assert np.array_equal(np.asarray(decoded), np.asarray(image.convert("RGB")))


def test_a_palette_with_transparency_is_composited_on_white_without_a_warning() -> None:
    image = noise().convert("P")
    decoded = decode_image(Media("image", encoded(image, "PNG", transparency=bytes(range(256))), "palette"))
    colours, alpha = np.asarray(image.convert("RGB")).astype(float), np.asarray(image).astype(float)[..., None] / 255
    assert np.abs(np.asarray(decoded) - (colours * alpha + 255 * (1 - alpha))).max() <= 1


@pytest.mark.parametrize("file_format", ["PNG", "GIF"])
@pytest.mark.parametrize(
    ("frames", "frame_ms", "sampling", "expected"),
    [
        (2, 40, DEFAULT_SAMPLING, [0, 1]),
        (8, 40, DEFAULT_SAMPLING, [0, 2, 4, 6]),  # a third of a second: the fewest
        (8, 500, DEFAULT_SAMPLING, [0, 1, 2, 3, 4, 5, 6, 7]),  # two a second, as asked for
        (10, 250, DEFAULT_SAMPLING, [0, 2, 4, 6, 8]),
        (10, 250, FrameSampling(fps=4), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (10, 250, FrameSampling(frames=3), [0, 3, 6]),
        (10, 250, FrameSampling(frames=20), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (70, 1000, DEFAULT_SAMPLING, [index * 70 // 64 for index in range(64)]),  # the most
    ],
)
def test_the_frames_of_an_animation_that_are_sampled_keep_their_time(
    frames: int, frame_ms: int, sampling: FrameSampling, expected: list[int], file_format: str
) -> None:
    clip = decode_clip(animated(frames, file_format, frame_ms=frame_ms), sampling)
    assert [frame.getpixel((0, 0)) for frame in clip.frames] == [(red, 0, 0) for red in expected]
    assert clip.frame_seconds * len(clip.frames) == pytest.approx(frames * frame_ms / 1000)
    assert {frame.mode for frame in clip.frames} == {"RGB"}


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_a_grey_picture_with_16_bits_is_scaled_and_not_cut_off(file_format: str) -> None:
    grey = np.linspace(0, 2**16 - 1, SIZE[0] * SIZE[1]).astype(np.uint16).reshape(SIZE[1], SIZE[0])
    decoded = np.asarray(decode_image(Media("image", encoded(Image.fromarray(grey), file_format), "scan")))
    assert (decoded == decoded[..., :1]).all()
    assert np.abs(decoded[..., 0] - grey / 257).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(("orientation", "turned"), [(1, 0), (3, 180), (6, 270), (8, 90)])
def test_a_photo_stands_the_way_up_that_it_was_taken(orientation: int, turned: int, file_format: str) -> None:
    photo = Image.new("RGB", (64, 32), "blue")
    photo.paste("red", (0, 0, 32, 32))
    notes = Image.Exif()
    notes[0x112] = orientation
    decoded = np.asarray(decode_image(Media("image", encoded(photo, file_format, exif=notes), "photo"))).astype(int)
    expected = np.asarray(photo.rotate(turned, expand=True)).astype(int)
    assert decoded.shape == expected.shape
    assert np.abs(decoded - expected).mean() < 8


def test_a_damaged_note_about_the_way_up_is_no_reason_to_refuse_a_photo() -> None:
    data = encoded(noise(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    assert decode_image(Media("image", data, "photo")).size == SIZE


@pytest.mark.parametrize("file_format", ["PNG", "GIF", "JPEG"])
def test_a_still_picture_is_a_clip_of_one_frame(file_format: str) -> None:
    clip = decode_clip(animated(1, file_format))
    assert len(clip.frames) == 1
    assert clip.frame_seconds == DEFAULT_FRAME_MS / 1000


@pytest.mark.parametrize(("frames", "steps"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3)])
def test_an_odd_last_frame_is_doubled_in_time(lab: Any, frames: int, steps: int) -> None:
    pixels = lab.adapter.preprocess(animated(frames, "PNG", frame_ms=500))
    assert (pixels.grid.kind, pixels.grid.time) == ("video", steps)
    assert len(pixels.values) == steps * pixels.grid.height * pixels.grid.width
    first, second = pixels.values[-1].view(3, 2, -1).unbind(1)
    assert bool((first == second).all()) is (frames % 2 == 1)


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (16, 16), (17, 31)])
def test_tiny_pictures_are_preprocessed_to_at_least_one_token(lab: Any, size: tuple[int, int]) -> None:
    pixels = lab.adapter.preprocess(Media("image", encoded(Image.new("RGB", size), "PNG"), "tiny"))
    assert lab.adapter.media_tokens(pixels.grid) >= 1


def test_what_the_image_processor_refuses_names_the_medium(lab: Any) -> None:
    sliver = Media("image", encoded(Image.new("RGB", (4000, 1)), "PNG"), "sliver.png")
    with pytest.raises(MediaError, match=r"^sliver\.png: the image processor refuses it \(.*aspect ratio"):
        lab.adapter.preprocess(sliver)
