"""Picture files: which are read, how large they may be, and whether they can be decoded."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence

from PIL import Image, UnidentifiedImageError

MOST_PIXELS = 100_000_000  # of one decoded frame: 300 MB as RGB; a 600 dpi A4 scan has 35 million
TOO_LARGE = f"no more than {MOST_PIXELS // 10**6} million are decoded, scale it down"
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")  # no format for which Pillow starts other programs
LONGEST_SHOWN = 100


def require_readable(data: bytes, kind: str = "picture", formats: Sequence[str] = FORMATS) -> None:
    """Decode a picture, or the first of an animation; ValueError when it is damaged, or too large to try.

    Args:
        data: the encoded file.
        kind: what it should be, for the error.
        formats: what is read of that kind, for the error.
    """
    too_large = f"has more than the {MOST_PIXELS // 10**6} million pixels that are decoded; scale it down"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes, which are judged here, and of damaged notes beside the picture
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
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


def shown(text: str) -> str:
    """A user's text in quotes, on one line of bearable length."""
    return repr(text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}...")
