"""Which frames of a video are on display at evenly spread moments, by each frame's own time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Timeline:
    """When the frames of a video are shown.

    Attributes:
        starts: seconds from the first frame to each, ascending, ``(frames,)``, float64.
        seconds: from the first frame to the end of the last.
    """

    starts: NDArray[np.float64]
    seconds: float

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.starts)

    @property
    def steady(self) -> bool:
        """Whether every frame comes within a quarter of a mean interval of where it would come at a constant rate."""
        interval = self.seconds / self.frames
        return bool((np.abs(self.starts - np.arange(self.frames) * interval) <= interval / 4).all())

    def spread(self, count: int) -> list[int]:
        """Choose ``count`` frames by number, ascending: those on display at moments that are evenly spread.

        Of a video without constant rate a frame that is on display at several of the moments comes several times,
        unless as many frames are asked for as there are, which all come once.
        """
        if count >= self.frames or self.steady:
            return [index * self.frames // count for index in range(count)]
        moments = np.arange(count) * (self.seconds / count)
        numbers = np.searchsorted(self.starts, moments, side="right") - 1
        return [int(number) for number in numbers]

    def moments(self, chosen: Sequence[int]) -> tuple[float, ...]:
        """Seconds from the first frame to when each of the frames that ``spread`` chose is looked at."""
        interval = self.seconds / len(chosen)
        if len(chosen) < self.frames or self.steady:
            return tuple(index * interval for index in range(len(chosen)))
        return tuple(float(self.starts[number]) for number in chosen)
