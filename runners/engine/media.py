"""Media files: content keys, and decoding with bounds on what a file can make us allocate."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

from blake3 import blake3
from PIL import Image, UnidentifiedImageError

from runners.engine.errors import MediaError
from workloads.pictures import MOST_PIXELS
from workloads.records import Media

MOST_CLIP_PIXELS = 600_000_000  # of all its frames together: 64 frames of 4K
MOST_FRAMES = 64
DEFAULT_FRAME_MS = 500.0


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
    """The picture as RGB; MediaError when it is damaged or too large."""
    with _opened(media) as image:
        return _rgb(image)


def decode_clip(media: Media) -> Clip:
    """An animated picture's frames as RGB, evenly thinned to at most ``MOST_FRAMES``."""
    with _opened(media) as image:
        total = getattr(image, "n_frames", 1)
        step = max(1, -(-total // MOST_FRAMES))
        chosen = range(0, total, step)
        if len(chosen) * image.width * image.height > MOST_CLIP_PIXELS:
            raise MediaError(
                f"{media.name}: {len(chosen)} frames of {image.width}x{image.height} pixels are more than the "
                f"{MOST_CLIP_PIXELS} that are decoded; scale it down"
            )
        frames: list[Image.Image] = []
        for index in chosen:
            image.seek(index)
            frames.append(_rgb(image))
        milliseconds = float(image.info.get("duration") or DEFAULT_FRAME_MS)
        return Clip(tuple(frames), step * milliseconds / 1000)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # without this step Pillow warns
    return image.convert("RGB")


class _opened:
    """Opens a medium's file with Pillow and turns its many errors into MediaError."""

    def __init__(self, media: Media) -> None:
        self._media = media

    def __enter__(self) -> Image.Image:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                image = Image.open(io.BytesIO(self._media.data))
            if image.width * image.height > MOST_PIXELS:
                raise MediaError(
                    f"{self._media.name}: {image.width}x{image.height} pixels are more than the "
                    f"{MOST_PIXELS} that are decoded; scale it down"
                )
            image.load()
            return image
        except MediaError:
            raise
        except UnidentifiedImageError as error:  # its own text holds a memory address
            raise MediaError(f"{self._media.name}: not a readable {self._media.kind} (unknown format)") from error
        except Exception as error:
            raise MediaError(f"{self._media.name}: not a readable {self._media.kind} ({error})") from error

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, MediaError):
            raise MediaError(f"{self._media.name}: not a readable {self._media.kind} ({error})") from error
