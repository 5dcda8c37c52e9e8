"""Apply the colour that a PNG file declares transparent, at the depth that the file has."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workloads.media.rgb import bands
from workloads.media.structure import MeteredFile

DEPTH_PLACE, COLOUR_PLACE = 24, 25  # in a PNG file: bits a sample, and what they stand for
GREY, TRUECOLOUR = 0, 2
LOW_BYTES = "RGB;16L"  # Pillow's name for samples whose second byte counts, which in PNG files is the low one


def mend_transparent_colour(image: Image.Image, data: bytes) -> None:
    """Make what a PNG file declares transparent so, in a decoded picture, of which Pillow keeps 8 bits a sample.

    The colour is scaled like the pixels; of RGB with 16 bits, where several colours would become one, pixels are
    compared at their full depth, and the picture becomes RGBA. Frames of an animation are compared as they are kept.
    """
    key = image.info.get("transparency")
    if image.format != "PNG" or key is None:
        return
    depth, colour = data[DEPTH_PLACE], data[COLOUR_PLACE]
    if colour == TRUECOLOUR and depth == 16:
        if getattr(image, "n_frames", 1) > 1:
            image.info["transparency"] = tuple(value >> 8 for value in key)
        else:
            image.putalpha(_opaque(image, data, key))
            del image.info["transparency"]
    elif colour == GREY and depth == 1:
        image.info["transparency"] = 255 if key else 0
    elif colour == GREY and depth < 8:
        image.info["transparency"] = key * 255 // (2**depth - 1)


def _opaque(image: Image.Image, data: bytes, key: tuple[int, int, int]) -> Image.Image:
    """The alpha of an RGB picture of 16 bits, whose pixels of the colour ``key`` are transparent."""
    low = Image.open(MeteredFile(data), formats=("PNG",))
    low.tile = [(*tile[:3], LOW_BYTES) for tile in low.tile]  # type: ignore[misc]  # of PNG's plugin
    low.load()
    alpha = Image.new("L", image.size)
    for top, bottom in bands(image):
        differs = np.zeros((bottom - top, image.width), bool)
        for part, shift in ((image, 8), (low, 0)):
            pixels: NDArray[np.uint8] = np.asarray(part.crop((0, top, image.width, bottom)))
            for channel, value in enumerate(key):
                differs |= pixels[..., channel] != value >> shift & 255
        alpha.paste(Image.fromarray(differs.astype(np.uint8) * np.uint8(255)), (0, top))
    return alpha
