"""Media files: content keys, and decoding with bounds on what a file can make us allocate."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np
from blake3 import blake3
from PIL import Image, ImageOps, UnidentifiedImageError

from runners.engine.errors import MediaError
from runners.engine.media.sampling import DEFAULT_SAMPLING, FrameSampling
from workloads.media.containers import container_of
from workloads.media.limits import MOST_PIXELS, TOO_LARGE
from workloads.media.pictures import FORMATS
from workloads.media.videos import Film
from workloads.records import Media

DEFAULT_FRAME_MS = 500.0
WHITE_16 = 2**16 - 1


@dataclass(frozen=True)
class Clip:
    """Frames of a video at a steady rate."""

    frames: tuple[Image.Image, ...]
    frame_seconds: float


def content_key(media: Media, processor_fingerprint: str) -> str:
    """The identity of a medium's encoder output: a BLAKE3 hash of kind, processor and encoded bytes."""
    hasher = blake3(f"{media.kind}\x00{processor_fingerprint}\x00".encode())
    hasher.update(media.data)
    return hasher.hexdigest()


def decode_image(media: Media) -> Image.Image:
    """The picture as RGB, the way up that it was taken; MediaError when it is damaged or too large."""
    with _opened(media) as image:
        _turn_upright(image)
        return image if image.mode == "RGB" else _rgb(image)  # a scan is large: no copy


def decode_clip(media: Media, sampling: FrameSampling = DEFAULT_SAMPLING) -> Clip:
    """The frames of a video or an animated picture that ``sampling`` chooses, as RGB; only these are kept."""
    return _film(media, sampling) if container_of(media.data) else _animation(media, sampling)


def _film(media: Media, sampling: FrameSampling) -> Clip:
    try:
        with Film(media.data) as film:
            chosen = sampling.choose(film.frames, film.seconds)
            frames = []
            for frame in film.decode(chosen):
                width, height = sampling.size(frame.width, frame.height, len(chosen))
                image = Image.fromarray(frame.to_ndarray(width=width, height=height, format="rgb24"))
                frames.append(image.rotate(frame.rotation, expand=True) if frame.rotation else image)
            seconds = film.seconds / len(chosen)
    except ValueError as error:
        raise MediaError(f"{media.name} {error}") from error
    if not frames:
        raise MediaError(f"{media.name}: not a readable video (no frame can be decoded)")
    return Clip(tuple(frames), seconds)


def _animation(media: Media, sampling: FrameSampling) -> Clip:
    """All its frames count as shown for as long as the first."""
    with _opened(media) as image:
        total = getattr(image, "n_frames", 1)
        seconds = total * float(image.info.get("duration") or DEFAULT_FRAME_MS) / 1000
        chosen = sampling.choose(total, seconds)
        size = sampling.size(image.width, image.height, len(chosen))
        frames: list[Image.Image] = []
        for index in chosen:
            image.seek(index)
            _require_decodable(media, image)  # pages of a file differ in size
            frame = _rgb(image)
            frames.append(frame if frame.size == size else frame.resize(size, Image.Resampling.BICUBIC))
        return Clip(tuple(frames), seconds / len(chosen))


def _turn_upright(image: Image.Image) -> None:
    """Turn it as a note of the camera says, if one can be read."""
    with warnings.catch_warnings(), suppress(Exception):
        warnings.simplefilter("ignore")
        ImageOps.exif_transpose(image, in_place=True)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # without this step Pillow warns
    if image.mode.startswith("I"):
        image = _eight_bits(image)
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """A grey picture with 16 bits a pixel, which Pillow would cut off at 255."""
    grey = np.asarray(image).astype(np.int64).clip(0, WHITE_16)
    return Image.fromarray(((grey * 255 + WHITE_16 // 2) // WHITE_16).astype(np.uint8))


def _require_decodable(media: Media, image: Image.Image) -> None:
    if image.width * image.height > MOST_PIXELS:
        raise MediaError(f"{media.name}: {image.width}x{image.height} pixels; {TOO_LARGE}")


@contextmanager
def _opened(media: Media) -> Iterator[Image.Image]:
    """Opens a medium's file with Pillow and turns its many errors into MediaError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes, which are judged here, and of damaged notes beside the picture
            image = Image.open(io.BytesIO(media.data), formats=FORMATS)
        _require_decodable(media, image)
        image.load()
        yield image
    except MediaError:
        raise
    except UnidentifiedImageError as error:  # its own text holds a memory address
        raise MediaError(f"{media.name}: not a readable {media.kind} (unknown format)") from error
    except Exception as error:
        raise MediaError(f"{media.name}: not a readable {media.kind} ({error})") from error
