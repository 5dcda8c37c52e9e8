"""Media files: content keys, and decoding with bounds on what a file can make us allocate."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

from blake3 import blake3
from PIL import Image

from runners.engine.errors import MediaError
from workloads.records import Media

MOST_PIXELS = 100_000_000  # of one decoded frame: 300 MB as RGB; a 600 dpi A4 scan has 35 million
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
        return image.convert("RGB")


def decode_clip(media: Media) -> Clip:
    """An animated picture's frames as RGB, evenly thinned to at most ``MOST_FRAMES``."""
    with _opened(media) as image:
        total = getattr(image, "n_frames", 1)
        step = max(1, -(-total // MOST_FRAMES))
        frames: list[Image.Image] = []
        for index in range(0, total, step):
            image.seek(index)
            frames.append(image.convert("RGB"))
        milliseconds = float(image.info.get("duration") or DEFAULT_FRAME_MS)
        return Clip(tuple(frames), step * milliseconds / 1000)


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
        except Exception as error:
            raise MediaError(f"{self._media.name}: not a readable {self._media.kind} ({error})") from error

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, MediaError):
            raise MediaError(f"{self._media.name}: not a readable {self._media.kind} ({error})") from error
