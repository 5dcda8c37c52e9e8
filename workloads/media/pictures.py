"""Decode picture files, of a few formats and within limits."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from PIL import ExifTags, Image, UnidentifiedImageError

from workloads.media import limits
from workloads.media.limits import TooLargeError, require_decodable, too_many_pixels
from workloads.media.rgb import is_deep, to_rgb
from workloads.media.structure import (
    MeteredFile,
    require_bounded_note,
    require_bounded_structure,
    require_few_scans,
)
from workloads.media.transparent_colour import mend_transparent_colour
from workloads.reading.mistakes import in_one_line

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")  # no format for which Pillow starts other programs
OLD_NOTE = "Raw profile type exif"  # of PNG files: EXIF in hexadecimal digits
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
TURNS = {  # by EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


UNTOLD = (LookupError, TypeError, AttributeError, ArithmeticError, struct.error, AssertionError)
"""What decoders let through where data are missing or contradict each other; their texts tell of the decoder alone."""


class UnknownFormatError(ValueError):
    """A file in none of the formats that are read."""


class DamagedError(ValueError):
    """A file that cannot be decoded; the text is the reason alone."""


def decode(data: bytes) -> Image.Image:
    """Decode a picture to RGB, upright, or the first frame of an animation: as it is shown everywhere, see ``to_rgb``.

    Raises:
        ValueError: damaged, or too large; with the end of a sentence.
    """
    with sentences("picture", FORMATS):
        return shown(opened(data))


def decode_as_stored(data: bytes) -> Image.Image:
    """Decode a picture in the mode that its file has, upright; in RGB where pixels need care that ``to_rgb`` takes.

    Raises:
        ValueError: as for ``decode``.
    """
    with sentences("picture", FORMATS):
        image = opened(data)
        plain = image.format == "PNG" if is_deep(image) else image.mode in ("1", "L", "P", "RGB")
        if not plain or image.has_transparency_data:
            return shown(image)
        with reasons():
            turn = _turn(image)
            return image if turn is None else image.transpose(turn)


def shown(image: Image.Image) -> Image.Image:
    """An open picture in RGB, upright; the same object when it is so already. Raises as ``opened`` does."""
    with reasons():
        turn = _turn(image)
        rgb = to_rgb(image)
        return rgb if turn is None else rgb.transpose(turn)


def opened(data: bytes, draft: tuple[int, int] | None = None) -> Image.Image:
    """Open a picture file and decode its first frame.

    Args:
        data: the encoded file.
        draft: a size that is large enough, where a smaller picture than the file's is quicker to decode.

    Raises:
        TooLargeError, UnknownFormatError, DamagedError: it is not decoded.
    """
    with reasons():
        require_bounded_structure(data)
        image = _identified(data)
        require_decodable(*image.size)
        require_few_scans(data, *image.size)
        if draft is not None:
            image.draft("RGB", draft)
        image.load()
        mend_transparent_colour(image, data)
    return image


def _identified(data: bytes) -> Image.Image:
    """Open a picture by its header; DamagedError for a TIFF file that Pillow does not take for one."""
    try:
        return Image.open(MeteredFile(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        if data.startswith(TIFF_STARTS):
            raise DamagedError(
                "a TIFF file that is damaged, or whose kind of samples is not read, see docs/media.md; save it as PNG"
            ) from error
        raise


@contextmanager
def reasons() -> Iterator[None]:
    """Turn whatever decoders raise into the errors of ``opened``, and keep their warnings quiet.

    They warn of sizes, which are judged here, and of damaged notes beside the pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (TooLargeError, UnknownFormatError, DamagedError):
        raise
    except Image.DecompressionBombError as error:
        raise TooLargeError(too_many_pixels(), f"more than {limits.MOST_PIXELS // 10**6} million pixels") from error
    except UnidentifiedImageError as error:  # its own text holds a memory address
        raise UnknownFormatError("unknown format") from error
    except UNTOLD as error:
        raise DamagedError("it is damaged, or cut off") from error
    except Exception as error:  # decoders raise anything
        raise DamagedError(in_one_line(str(error)) or type(error).__name__) from error


@contextmanager
def sentences(kind: str, formats: Sequence[str]) -> Iterator[None]:
    """Turn the errors of ``opened`` into ends of sentences, which begin with the file's name."""
    try:
        yield
    except UnknownFormatError as error:
        raise ValueError(f"is not a readable {kind} (none of {', '.join(formats)})") from error
    except DamagedError as error:
        raise ValueError(f"is not a readable {kind} ({error})") from error


def _turn(image: Image.Image) -> Image.Transpose | None:
    """How a picture is to be turned or mirrored by its EXIF orientation, if that can be read."""
    with suppress(Exception):
        note = image.info.get("exif")
        if note is None and OLD_NOTE in image.info:
            note = bytes.fromhex("".join(image.info[OLD_NOTE].split("\n")[3:]))
        require_bounded_note(note or b"")
        return TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return None
