"""Picture files: which are read, how large they may be, and how they are decoded and packed."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence

from PIL import Image, UnidentifiedImageError

MOST_PIXELS = 100_000_000  # of one decoded frame: 300 MB as RGB; a 600 dpi A4 scan has 35 million
TOO_LARGE = f"no more than {MOST_PIXELS // 10**6} million are decoded, scale it down"
MOST_BYTES = 64 * 2**20  # of an encoded file
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")  # no format for which Pillow starts other programs
PNG_MODES = ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA")


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


def pack(picture: Image.Image) -> bytes:
    """The same pixels as a PNG file, quickly rather than tightly packed; as RGB where PNG does not know the mode."""
    with io.BytesIO() as file:
        plain = picture if picture.mode in PNG_MODES else picture.convert("RGB")
        plain.save(file, "PNG", compress_level=1)
        return file.getvalue()
