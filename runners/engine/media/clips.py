"""Clips decoded to sampled frames: of a video file, or of an animated picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from runners.engine.errors import MediaError
from runners.engine.media.pictures import named
from runners.engine.media.sampling import DEFAULT_SAMPLING, FrameSampling
from workloads.media.animations import Animation
from workloads.media.containers import container_of
from workloads.media.timeline import Timeline
from workloads.media.upright import picture_of
from workloads.media.videos import Film
from workloads.records import Media


@dataclass(frozen=True)
class Clip:
    """Sampled frames of a video.

    Attributes:
        frame_seconds: mean time between two frames.
        moments: seconds from the video's first frame to when each frame is looked at.
    """

    frames: tuple[Image.Image, ...]
    frame_seconds: float
    moments: tuple[float, ...]


def decode_clip(media: Media, sampling: FrameSampling = DEFAULT_SAMPLING) -> Clip:
    """Decode the frames of a video or an animated picture that ``sampling`` chooses, as RGB; no others are kept."""
    with named(media):
        return _film(media, sampling) if container_of(media.data) else _animation(media, sampling)


def _film(media: Media, sampling: FrameSampling) -> Clip:
    with Film(media.data) as film:
        chosen = sampling.choose(film.timeline)
        frames = []
        for frame in film.decode(chosen):
            width, height = sampling.size(frame.width, frame.height, len(chosen))
            frames.append(picture_of(frame, width, height))
        if not frames:
            raise MediaError(f"{media.name}: not a readable video (no frame can be decoded)")
        return _clip(frames, chosen, film.timeline)


def _animation(media: Media, sampling: FrameSampling) -> Clip:
    animation = Animation(media.data)
    chosen = sampling.choose(animation.timeline)
    frames = list(_scaled(animation.decode(chosen), sampling, len(chosen)))
    return _clip(frames, chosen, animation.timeline)


def _scaled(frames: Iterator[Image.Image], sampling: FrameSampling, count: int) -> Iterator[Image.Image]:
    """Scale frames to one size, which the first decides."""
    size: tuple[int, int] | None = None
    for frame in frames:
        size = size or sampling.size(frame.width, frame.height, count)
        yield frame if frame.size == size else frame.resize(size, Image.Resampling.BICUBIC)


def _clip(frames: list[Image.Image], chosen: list[int], timeline: Timeline) -> Clip:
    moments = timeline.moments(chosen)[: len(frames)]
    return Clip(tuple(frames), timeline.seconds / len(chosen), moments)
