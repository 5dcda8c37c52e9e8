"""Frame sampling: which frames of a video the model sees, and how large."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.media.timeline import Timeline

MOST_FRAMES = 768  # as in the processors of the Qwen-VL families
CLIP_PIXELS = 115_200 * 28 * 28  # of all frames together, as in Qwen's qwen-vl-utils: 270 MB as RGB


@dataclass(frozen=True)
class FrameSampling:
    """Frames evenly spread over the time of a video, and a bound on their size.

    As in the processors of the Qwen-VL families: two frames a second, at least four, each of at most 768 tokens of
    28 x 28 pixels. They take 768 frames at most, more than a prompt has room for; here 64 unless ``frames`` says more.

    Attributes:
        fps: frames a second.
        frames: how many frames in place of what ``fps`` gives, at most ``MOST_FRAMES``; 0 for that.
        fewest, most: bounds of what ``fps`` gives. No video gives more frames than it has.
        frame_pixels: larger frames are scaled down to so many.
    """

    fps: float = 2.0
    frames: int = 0
    fewest: int = 4
    most: int = 64
    frame_pixels: int = 768 * 28 * 28

    def choose(self, timeline: Timeline) -> list[int]:
        """Choose frames of a video by number, ascending; see ``Timeline.spread``."""
        by_rate = max(self.fewest, min(self.most, round(min(timeline.seconds * self.fps, self.most))))
        return timeline.spread(max(1, min(self.frames or by_rate, timeline.frames, MOST_FRAMES)))

    def size(self, width: int, height: int, count: int) -> tuple[int, int]:
        """Width and height to which each of ``count`` frames is scaled."""
        pixels = min(self.frame_pixels, CLIP_PIXELS // count)
        scale = min(1.0, (pixels / (width * height)) ** 0.5)
        return max(1, int(width * scale)), max(1, int(height * scale))


DEFAULT_SAMPLING = FrameSampling()
