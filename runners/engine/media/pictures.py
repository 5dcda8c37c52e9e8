"""Pictures decoded to RGB, with a bound on the memory that a file can make us allocate."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from runners.engine.errors import MediaError
from workloads.media.limits import MOST_PIXELS, TOO_LARGE
from workloads.media.pictures import FORMATS
from workloads.records import Media

WHITE_16 = 2**16 - 1


def decode_image(media: Media) -> Image.Image:
    """Decode a picture to RGB, upright; MediaError when it is damaged or too large."""
    with opened(media) as image:
        _turn_upright(image)
        return image if image.mode == "RGB" else as_rgb(image)  # a scan is large: no copy


def _turn_upright(image: Image.Image) -> None:
    """Rotate it as its EXIF orientation says, if that can be read."""
    with warnings.catch_warnings(), suppress(Exception):
        warnings.simplefilter("ignore")
        ImageOps.exif_transpose(image, in_place=True)


def as_rgb(image: Image.Image) -> Image.Image:
    """Convert a picture to RGB; 16 bits a pixel are scaled to 8."""
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # without this step Pillow warns
    if image.mode.startswith("I"):
        image = _eight_bits(image)
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """A grey picture with 16 bits a pixel, which Pillow would cut off at 255."""
    grey = np.asarray(image).astype(np.int64).clip(0, WHITE_16)
    return Image.fromarray(((grey * 255 + WHITE_16 // 2) // WHITE_16).astype(np.uint8))


def require_decodable(media: Media, image: Image.Image) -> None:
    """MediaError for a picture with more pixels than are decoded."""
    if image.width * image.height > MOST_PIXELS:
        raise MediaError(f"{media.name}: {image.width}x{image.height} pixels; {TOO_LARGE}")


@contextmanager
def opened(media: Media) -> Iterator[Image.Image]:
    """Open a medium's file with Pillow, whose errors become MediaError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes, which are judged here, and of damaged notes beside the picture
            image = Image.open(io.BytesIO(media.data), formats=FORMATS)
        require_decodable(media, image)
        image.load()
        yield image
    except MediaError:
        raise
    except UnidentifiedImageError as error:  # its own text holds a memory address
        raise MediaError(f"{media.name}: not a readable {media.kind} (unknown format)") from error
    except Exception as error:
        raise MediaError(f"{media.name}: not a readable {media.kind} ({error})") from error
