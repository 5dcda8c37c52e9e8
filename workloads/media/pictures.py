"""Decode picture files, of a few formats and within limits."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence

from PIL import Image, UnidentifiedImageError

from workloads.media.limits import MOST_PIXELS

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")  # no format for which Pillow starts other programs


def decode(data: bytes, kind: str = "picture", formats: Sequence[str] = FORMATS) -> Image.Image:
    """A picture as the file has it, or the first of an animation; ValueError when it is damaged, or too large to try.

    Args:
        data: the encoded file.
        kind: what it should be, for the error.
        formats: what is read of that kind, for the error.
    """
    too_large = f"has more than the {MOST_PIXELS // 10**6} million pixels that are decoded; scale it down"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes, which are judged here, and of damaged notes beside the picture
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            fits = image.width * image.height <= MOST_PIXELS
            if fits:
                image.load()
    except Image.DecompressionBombError as error:
        raise ValueError(too_large) from error
    except UnidentifiedImageError as error:  # its own text holds a memory address
        raise ValueError(f"is not a readable {kind} (none of {', '.join(formats)})") from error
    except Exception as error:  # decoders raise anything
        raise ValueError(f"is not a readable {kind} ({' '.join(str(error).split())})") from error
    if not fits:
        raise ValueError(too_large)
    return image
