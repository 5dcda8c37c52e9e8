"""Convert decoded pictures of every mode to RGB: alpha on white, and deep grey by its range.

Alpha is composited on white as in vLLM, qwen-vl-utils and browsers, for the colours below transparent pixels are
arbitrary, and often black.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WHITE = (255, 255, 255)
BAND_PIXELS = 2**22  # converted at a time, so that no second copy of a large picture is made
TIFF_BITS, TIFF_PHOTOMETRIC, TIFF_SAMPLE_FORMAT = 258, 262, 339  # numbers of tags
MIN_IS_WHITE = 0
UNSIGNED, SIGNED = 1, 2


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a picture to RGB; the same object when it is RGB.

    Grey of 9 to 16 bits is scaled by its full range; of 32 bits, or with a sign, by its least and its greatest value;
    floating-point values as they are where all lie between 0 and 1, else by their least and greatest.

    Raises:
        ValueError: floating-point values that are not finite; the end of a sentence.
    """
    if is_deep(image):
        return _deep_to_rgb(image)
    if image.has_transparency_data:
        return _on_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def is_deep(image: Image.Image) -> bool:
    """Whether it is grey of more than 8 bits a pixel, or of 8 with a sign."""
    return image.mode == "F" or image.mode.startswith("I") or _is_signed_byte(image)


def _is_signed_byte(image: Image.Image) -> bool:
    """Whether it is a TIFF picture of grey from -128 to 127, which Pillow opens as one from 0 to 255."""
    tags = getattr(image, "tag_v2", {})
    return image.mode == "L" and image.format == "TIFF" and tags.get(TIFF_SAMPLE_FORMAT) == (SIGNED,)


def _on_white(image: Image.Image) -> Image.Image:
    """Composite a picture on white, a band of rows at a time."""
    ground = Image.new("RGB", image.size, WHITE)
    for top, bottom in bands(image):
        cut = image.crop((0, top, image.width, bottom))
        band = (cut.convert("LA") if cut.mode == "La" else cut).convert("RGBA")  # La: colours multiplied by alpha
        ground.paste(band, (0, top), band)
    return ground


def _deep_to_rgb(image: Image.Image) -> Image.Image:
    """Scale deep grey to 8 bits without a sign, where Pillow would cut off all above 255, or take signs for values."""
    low, high = _range(image)
    tags = getattr(image, "tag_v2", {})
    inverted = tags.get(TIFF_PHOTOMETRIC) == MIN_IS_WHITE
    key = image.info.get("transparency")
    grey = Image.new("L", image.size)
    for top, bottom in bands(image):
        values = _values(image, top, bottom)
        band = _scaled(values, low, high)
        if inverted:
            band = 255 - band
        if isinstance(key, int):
            band = np.where(values == key, np.uint8(255), band)
        grey.paste(Image.fromarray(band), (0, top))
    return grey.convert("RGB")


def _range(image: Image.Image) -> tuple[float, float]:
    """The values that become black and white."""
    if image.mode.startswith("I;16") or image.format == "PNG":  # 16 bits, which old releases of Pillow open as mode I
        bits = getattr(image, "tag_v2", {}).get(TIFF_BITS, (16,))
        return 0, 2 ** min(int(bits[0]), 16) - 1
    bounds = [(float(band.min()), float(band.max())) for band in (_values(image, *rows) for rows in bands(image))]
    low, high = min(low for low, _ in bounds), max(high for _, high in bounds)
    if not np.isfinite([value for pair in bounds for value in pair]).all():
        raise ValueError("has values that are not finite (NaN or infinity); save it with 8 or 16 bits a pixel")
    if image.mode == "F" and low >= 0 and high <= 1:
        return 0, 1
    return (low, high) if low < high else (min(low, 0), max(high, 0))


def _values(image: Image.Image, top: int, bottom: int) -> NDArray[np.generic]:
    """The values of some rows, ``(rows, width)``."""
    values: NDArray[np.generic] = np.asarray(image.crop((0, top, image.width, bottom)))
    tags = getattr(image, "tag_v2", {})
    if image.mode == "I" and tags.get(TIFF_BITS) == (32,) and tags.get(TIFF_SAMPLE_FORMAT, (UNSIGNED,)) == (UNSIGNED,):
        return values.view(np.uint32)  # Pillow's mode is signed
    if _is_signed_byte(image):
        return values.view(np.int8)  # Pillow's mode is not
    return values


def _scaled(values: NDArray[np.generic], low: float, high: float) -> NDArray[np.uint8]:
    """Values between ``low`` and ``high`` as 0 to 255, rounded; equal bounds are black."""
    if low == 0 and high < 2**16 and values.dtype.kind in "ui":
        whole = int(high)
        grey = values.astype(np.int64).clip(0, whole)
        return ((grey * 255 + whole // 2) // max(whole, 1)).astype(np.uint8)
    share: NDArray[np.float64] = (values.astype(np.float64) - low) / ((high - low) or 1)
    return np.asarray(np.rint(share.clip(0, 1) * 255), np.uint8)


def bands(image: Image.Image) -> Iterator[tuple[int, int]]:
    """First row, and the row after the last, of each of the bands of a picture."""
    rows = max(1, BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield top, min(image.height, top + rows)
