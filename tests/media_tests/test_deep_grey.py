"""Grey of more than 8 bits a pixel is scaled by its real range, never cut off; other modes keep their colours."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from runners.engine.errors import MediaError
from runners.engine.media.pictures import decode_image
from workloads.media.packing import pack
from workloads.media.pictures import decode, decode_as_stored
from workloads.records import Media

Encode = Callable[..., bytes]
SIGNED, FLOAT = 2, 3


def tiff(values: NDArray[Any], sample_format: int, photometric: int = 1, bits: int | None = None) -> bytes:
    """An uncompressed TIFF file of grey samples, ``(height, width)``, in the byte order of ``values``."""
    order = ">" if values.dtype.byteorder == ">" else "<"
    height, width = values.shape
    data = values.tobytes()
    start = 8 + 2 + 10 * 12 + 4
    entries = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, bits or values.dtype.itemsize * 8),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, start),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, len(data)),
        (339, 3, sample_format),
    ]
    head = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(order + "IH", 8, len(entries))
    for tag, kind, value in entries:
        head += struct.pack(order + "HHI", tag, kind, 1) + struct.pack(order + ("I" if kind == 4 else "H2x"), value)
    return head + bytes(4) + data


def grey(data: bytes) -> NDArray[np.uint8]:
    """A picture's decoded brightness, ``(height, width)``, in which all channels agree."""
    decoded = np.asarray(decode_image(Media("image", data, "scan")))
    assert (decoded == decoded[..., :1]).all()
    return decoded[..., 0]


@pytest.mark.parametrize(
    ("values", "sample_format", "expected"),
    [
        (np.array([[0, 257, 32768, 65535]], "<u2"), 1, [0, 1, 128, 255]),
        (np.array([[0, 257, 32768, 65535]], ">u2"), 1, [0, 1, 128, 255]),
        (np.array([[0, 257, 1000, 1000]], "<u2"), 1, [0, 1, 4, 4]),  # dark, and stays so
        (np.array([[-300, 0, 300, 700]], "<i2"), SIGNED, [0, 76, 153, 255]),
        (np.array([[0, 1, 2, 4]], "<i4"), SIGNED, [0, 64, 128, 255]),
        (np.array([[-100_000, 0, 0, 100_000]], ">i4"), SIGNED, [0, 128, 128, 255]),
        (np.array([[0, 2**31, 2**32 - 1, 2**31]], "<u4"), 1, [0, 128, 255, 128]),
        (np.array([[0, 0.25, 0.5, 0.5]], "<f4"), FLOAT, [0, 64, 128, 128]),
        (np.array([[0, 0.25, 0.5, 1]], ">f4"), FLOAT, [0, 64, 128, 255]),
        (np.array([[-1, 0, 1, 3]], "<f4"), FLOAT, [0, 64, 128, 255]),
        (np.array([[0, 255, 510, 1020]], "<f4"), FLOAT, [0, 64, 128, 255]),
        (np.array([[-128, -64, 0, 127]], "i1"), SIGNED, [0, 64, 128, 255]),
        (np.array([[-4, 0, 2, 4]], "i1"), SIGNED, [0, 128, 191, 255]),
        (np.array([[7, 7]], "<i4"), SIGNED, [255, 255]),
        (np.array([[0, 0]], "<i4"), SIGNED, [0, 0]),
        (np.array([[-7, -7]], "<f4"), FLOAT, [0, 0]),
    ],
)
def test_grey_is_scaled_by_its_range(values: NDArray[Any], sample_format: int, expected: list[int]) -> None:
    assert grey(tiff(values, sample_format))[0].tolist() == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("values", [np.array([[0, 20000, 65535]], "<u2"), np.array([[0, 0.3, 1]], "<f4")])
def test_a_scan_whose_least_value_is_white_is_inverted(values: NDArray[Any]) -> None:
    sample_format = FLOAT if values.dtype.kind == "f" else 1
    upright, inverted = (grey(tiff(values, sample_format, photometric)).astype(int) for photometric in (1, 0))
    assert (upright + inverted == 255).all()


def test_twelve_bits_are_scaled_by_their_own_range() -> None:
    packed = np.array([[0x00, 0x08, 0x00, 0xFF, 0xF7, 0xFF]], np.uint8)  # 000 800 FFF 7FF
    data = tiff(packed, 1, bits=12).replace(struct.pack("<HHII", 256, 4, 1, 6), struct.pack("<HHII", 256, 4, 1, 4))
    assert grey(data)[0].tolist() == pytest.approx([0, 128, 255, 127], abs=1)


@given(values=st.lists(st.integers(-128, 127), min_size=1, max_size=20))
def test_signed_integers_agree_at_every_depth(values: list[int]) -> None:
    first, *others = [grey(tiff(np.array([values], kind), SIGNED)) for kind in ("i1", "<i2", ">i2", "<i4")]
    assert all(np.array_equal(first, other) for other in others)
    assert np.array_equal(np.asarray(decode_as_stored(tiff(np.array([values], "i1"), SIGNED)))[..., 0], first)


@pytest.mark.parametrize("kind", ["<f8", "<f2", ">u4", "<u8"])
@pytest.mark.parametrize("photometric", [0, 1])
def test_samples_that_are_not_read_are_refused_with_a_word(kind: str, photometric: int) -> None:
    data = tiff(np.array([[0, 1, 2]], kind), FLOAT if "f" in kind else 1, photometric)
    with pytest.raises(ValueError, match=r"^is not a readable picture \(a TIFF file that is damaged, or whose kind of"):
        decode(data)


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
def test_values_that_are_not_finite_are_refused_with_a_word(odd: float) -> None:
    data = tiff(np.array([[0, odd, 1]], "<f4"), FLOAT)
    with pytest.raises(MediaError, match=r"^scan: not a readable image \(has values that are not finite"):
        decode_image(Media("image", data, "scan"))


@given(values=st.lists(st.integers(0, 2**16 - 1), min_size=1, max_size=20))
def test_sixteen_bits_agree_in_every_form(values: list[int], png: Encode, encoded: Encode) -> None:
    samples = np.array([values], np.uint16)
    plain = png(samples, 16, 0)
    forms = {
        "PNG": plain,
        "II TIFF": tiff(samples.astype("<u2"), 1),
        "MM TIFF": tiff(samples.astype(">u2"), 1),
        "compressed TIFF": encoded(Image.fromarray(samples), "TIFF", compression="tiff_adobe_deflate"),
        "lm-eval's task": pack(decode_as_stored(plain)),
        "lm-eval's request": pack(Image.fromarray(samples)),
    }
    expected = np.floor(samples[0] / 257 + 0.5)
    for form, data in forms.items():
        assert np.array_equal(grey(data)[0], expected), form


@pytest.mark.parametrize("sample_format", [SIGNED, FLOAT])
def test_what_lm_eval_packs_looks_like_the_file(sample_format: int) -> None:
    values = np.array([[-70_000, 0, 10, 70_000]], "<i4" if sample_format == SIGNED else "<f4")
    data = tiff(values, sample_format)
    assert np.array_equal(grey(pack(decode_as_stored(data))), grey(data))
    assert np.array_equal(grey(pack(Image.open(io.BytesIO(data)))), grey(data))


def test_lab_cmyk_and_ycbcr_keep_their_colours(encoded: Encode) -> None:
    red = Image.new("RGB", (16, 16), (200, 30, 30))
    cmyk, ycbcr = encoded(red.convert("CMYK"), "TIFF"), encoded(red, "JPEG", quality=95)
    lab = encoded(Image.new("LAB", (16, 16), (44, 127 + 60, 127 + 40)), "TIFF")
    for data in (cmyk, ycbcr, lab):
        mean = np.asarray(decode_image(Media("image", data, "red"))).mean(axis=(0, 1))
        assert mean[0] > 2 * max(mean[1], mean[2])
