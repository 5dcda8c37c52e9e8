"""Alpha is composited on white in every form that has it, and wherever pictures are decoded."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from reports.html.thumbnails import Album
from reports.run.changed_answers import KeptMedium, content_name
from runners.engine.media.clips import decode_clip
from runners.engine.media.pictures import decode_image
from workloads.media.packing import pack
from workloads.media.pictures import decode, decode_as_stored
from workloads.records import Media

Ink = NDArray[np.bool_]
Encode = Callable[..., bytes]
COLOUR = (0, 64, 128)
FORMS = (
    "RGBA PNG",
    "RGBA PNG of 16 bits",
    "LA PNG",
    "LA PNG of 16 bits",
    "palette PNG, one entry",
    "palette PNG, alpha of every entry",
    "palette PNG of 1 bit",
    "grey PNG of 1 bit",
    "grey PNG of 2 bits",
    "grey PNG of 4 bits",
    "grey PNG of 8 bits",
    "grey PNG of 16 bits",
    "RGB PNG of 8 bits",
    "RGB PNG of 16 bits",
    "WebP",
    "GIF",
    "RGBA TIFF",
    "LA TIFF",
    "compressed RGBA TIFF",
)
ANIMATED = ("PNG", "WEBP", "GIF", "TIFF")


def page(ink: Ink, grey: bool) -> NDArray[np.uint8]:
    """An opaque page: ink on white paper, ``(height, width, 3)``."""
    return np.where(ink[..., None], np.array((64,) * 3 if grey else COLOUR), 255).astype(np.uint8)


def clear(ink: Ink, grey: bool = False) -> Image.Image:
    """The same page with transparent paper, whose colour is black."""
    colour = np.where(ink[..., None], page(ink, grey), 0)
    image = Image.fromarray(np.dstack((colour, ink * 255)).astype(np.uint8))
    return image.convert("LA") if grey else image


def keyed(ink: Ink, value: int) -> NDArray[np.int64]:
    """Samples with ink of ``value`` on paper of 0, which a key makes transparent."""
    return np.where(ink, value, 0)


def transparent(form: str, ink: Ink, encoded: Encode, png: Encode) -> tuple[bytes, NDArray[np.uint8]]:
    """A file of a form with transparent paper, and the opaque page that it is to look like."""
    grey, rgba = np.asarray(clear(ink, True)).astype(np.int64), np.asarray(clear(ink)).astype(np.int64)
    palette = (b"PLTE", bytes((0, 0, 0, *COLOUR)))
    match form:
        case "RGBA PNG":
            return encoded(clear(ink), "PNG"), page(ink, False)
        case "RGBA PNG of 16 bits":
            return png(rgba * 257, 16, 6), page(ink, False)
        case "LA PNG":
            return encoded(clear(ink, True), "PNG"), page(ink, True)
        case "LA PNG of 16 bits":
            return png(grey * 257, 16, 4), page(ink, True)
        case "palette PNG, one entry":
            return encoded(_palette(ink), "PNG", transparency=0), page(ink, False)
        case "palette PNG, alpha of every entry":
            return encoded(_palette(ink), "PNG", transparency=bytes((0, 255))), page(ink, False)
        case "palette PNG of 1 bit":
            return png(keyed(ink, 1), 1, 3, palette, (b"tRNS", b"\0")), page(ink, False)
        case "RGB PNG of 8 bits":
            return png(rgba[..., :3], 8, 2, (b"tRNS", bytes(6))), page(ink, False)
        case "RGB PNG of 16 bits":
            return png(rgba[..., :3] * 257, 16, 2, (b"tRNS", bytes(6))), page(ink, False)
        case "WebP":
            return encoded(clear(ink), "WEBP", lossless=True, exact=True), page(ink, False)
        case "GIF":
            return encoded(_palette(ink), "GIF", transparency=0), page(ink, False)
        case "RGBA TIFF":
            return encoded(clear(ink), "TIFF"), page(ink, False)
        case "LA TIFF":
            return encoded(clear(ink, True), "TIFF"), page(ink, True)
        case "compressed RGBA TIFF":
            return encoded(clear(ink), "TIFF", compression="tiff_adobe_deflate"), page(ink, False)
        case _:
            depth = int(form.split()[-2])
            whole = 2**depth - 1
            value = whole // 3 if depth > 1 else 1  # 0 is paper: ink of 1 bit is white, too
            opaque = np.where(ink[..., None], value * 255 // whole, 255).repeat(3, axis=-1).astype(np.uint8)
            return png(keyed(ink, value), depth, 0, (b"tRNS", struct.pack(">H", 0))), opaque


def _palette(ink: Ink) -> Image.Image:
    image = Image.fromarray(ink.astype(np.uint8))
    image.putpalette((0, 0, 0, *COLOUR))
    return image


inks = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda size: st.lists(st.booleans(), min_size=size[0] * size[1], max_size=size[0] * size[1]).map(
        lambda cells: np.array(cells).reshape(size)
    )
)
INK = np.random.default_rng(3).random((12, 20)) < 0.3


@settings(max_examples=200)
@given(form=st.sampled_from(FORMS), ink=inks)
def test_transparent_paper_looks_like_white_paper(form: str, ink: Ink, encoded: Encode, png: Encode) -> None:
    data, opaque = transparent(form, ink, encoded, png)
    assert np.array_equal(np.asarray(decode_image(Media("image", data, form))), opaque)


@pytest.mark.parametrize("form", FORMS)
def test_all_that_decode_pictures_see_the_same(form: str, encoded: Encode, png: Encode, tmp_path: Path) -> None:
    """The engine, the check of request files, clips, lm-eval's requests, and pictures of an HTML page."""
    data, opaque = transparent(form, INK, encoded, png)
    found = {
        "engine": decode_image(Media("image", data, form)),
        "check": decode(data),
        "clip": decode_clip(Media("video", data, form)).frames[0],
        "lm-eval's task": decode_as_stored(data),
        "lm-eval's request": decode_image(Media("image", pack(Image.open(io.BytesIO(data))), form)),
    }
    if form not in ("grey PNG of 2 bits", "grey PNG of 4 bits", "RGB PNG of 16 bits"):  # whose key Pillow drops
        assert np.array_equal(np.asarray(found["lm-eval's request"]), opaque)
    del found["lm-eval's request"]
    for place, picture in found.items():
        assert np.array_equal(np.asarray(picture.convert("RGB")), opaque), place
    (tmp_path / "media").mkdir()
    files = (data, encoded(Image.fromarray(opaque), "PNG"))
    for file in files:
        (tmp_path / "media" / content_name(file)).write_bytes(file)
    first, second = (Album(tmp_path, "x").of(KeptMedium("image", "a", content_name(file)), 1)[0] for file in files)
    assert first is not None
    assert second is not None
    assert first.address == second.address


COLOURS = st.lists(st.tuples(*[st.sampled_from([0, 1, 255, 256, 257, 65535])] * 3), min_size=1, max_size=30)


@given(colours=COLOURS, key=st.tuples(*[st.sampled_from([0, 1, 255, 256, 257, 65535])] * 3))
def test_a_colour_is_transparent_at_full_depth(colours: list[tuple[int, ...]], key: Any, png: Encode) -> None:
    data = png(np.array([colours]), 16, 2, (b"tRNS", struct.pack(">HHH", *key)))
    expected = [(255, 255, 255) if colour == key else tuple(value >> 8 for value in colour) for colour in colours]
    assert [tuple(pixel) for pixel in np.asarray(decode(data))[0]] == expected
    assert [tuple(pixel) for pixel in np.asarray(decode_as_stored(data))[0]] == expected


def test_grey_that_was_multiplied_by_its_alpha_is_composited_on_white(encoded: Encode) -> None:
    plain = encoded(Image.fromarray(np.array([[[0, 0], [0, 255], [100, 200], [255, 255]]], np.uint8)), "TIFF")
    tag = struct.pack("<HHII", 338, 3, 1, 2)
    assert plain.count(tag) == 1
    multiplied = plain.replace(tag, struct.pack("<HHII", 338, 3, 1, 1))
    assert np.asarray(decode(multiplied))[0, :, 0].tolist() == pytest.approx([255, 0, 155, 255], abs=1)


@pytest.mark.parametrize("file_format", ANIMATED)
def test_every_frame_of_an_animation_is_composited_on_white(file_format: str, encoded: Encode) -> None:
    inks = [np.roll(INK, step, axis=1) for step in range(4)]
    options: dict[str, Any] = {"lossless": True, "exact": True} if file_format == "WEBP" else {}
    if file_format != "TIFF":
        options |= {"duration": 500, "disposal": 1 if file_format == "PNG" else 2}
    if file_format == "WEBP":
        del options["disposal"]
    if file_format == "GIF":
        options["transparency"] = 0
    first, *others = map(_palette if file_format == "GIF" else clear, inks)
    clip = decode_clip(Media("video", encoded(first, file_format, others, **options), "clip"))
    assert len(clip.frames) == 4
    for frame, ink in zip(clip.frames, inks, strict=True):
        assert np.array_equal(np.asarray(frame), page(ink, False))


@given(alpha=st.integers(0, 255), colour=st.tuples(*[st.integers(0, 255)] * 3))
def test_half_transparent_colours_are_mixed_with_white(alpha: int, colour: tuple[int, ...], encoded: Encode) -> None:
    data = encoded(Image.new("RGBA", (1, 1), (*colour, alpha)), "PNG")
    mixed = np.array(colour) * alpha / 255 + 255 - alpha
    assert np.abs(np.asarray(decode_image(Media("image", data, "one")))[0, 0] - mixed).max() <= 0.5 + 1e-9


def test_a_large_transparent_picture_is_composited_band_by_band(
    encoded: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encoded(clear(INK), "PNG")
    monkeypatch.setattr("workloads.media.rgb.BAND_PIXELS", 50)
    assert np.array_equal(np.asarray(decode_image(Media("image", data, "bands"))), page(INK, False))
