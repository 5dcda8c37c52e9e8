"""Clips decoded to sampled frames: of a video file, or of an animated picture."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from runners.engine.errors import MediaError
from runners.engine.media.pictures import as_rgb, opened, require_decodable
from runners.engine.media.sampling import DEFAULT_SAMPLING, FrameSampling
from workloads.media.containers import container_of
from workloads.media.videos import Film
from workloads.records import Media

DEFAULT_FRAME_MS = 500.0


@dataclass(frozen=True)
class Clip:
    """Frames of a video at a steady rate."""

    frames: tuple[Image.Image, ...]
    frame_seconds: float


def decode_clip(media: Media, sampling: FrameSampling = DEFAULT_SAMPLING) -> Clip:
    """Decode the frames of a video or an animated picture that ``sampling`` chooses, as RGB; no others are kept."""
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
    """Every frame is taken to last as long as the first."""
    with opened(media) as image:
        total = getattr(image, "n_frames", 1)
        seconds = total * float(image.info.get("duration") or DEFAULT_FRAME_MS) / 1000
        chosen = sampling.choose(total, seconds)
        size = sampling.size(image.width, image.height, len(chosen))
        frames: list[Image.Image] = []
        for index in chosen:
            image.seek(index)
            require_decodable(media, image)  # pages of a file differ in size
            frame = as_rgb(image)
            frames.append(frame if frame.size == size else frame.resize(size, Image.Resampling.BICUBIC))
        return Clip(tuple(frames), seconds / len(chosen))
