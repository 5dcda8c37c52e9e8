"""Turn frames of videos to RGB pictures that stand upright, as their display matrix says and as FFmpeg shows them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from workloads.media.rgb import to_rgb

if TYPE_CHECKING:
    from av import VideoFrame

MATRIX = "DISPLAYMATRIX"
TOLERANCE = math.radians(1)  # from quarter turns, as in FFmpeg


def picture_of(frame: VideoFrame, width: int, height: int) -> Image.Image:
    """A frame in RGB, scaled to ``width`` x ``height`` before it is turned; alpha on white."""
    alpha = any(component.is_alpha for component in frame.format.components)
    pixels = frame.to_ndarray(width=width, height=height, format="rgba" if alpha else "rgb24")
    return _turned(to_rgb(Image.fromarray(pixels)), frame)


def _turned(image: Image.Image, frame: VideoFrame) -> Image.Image:
    """Apply a frame's display matrix: quarter turns, mirrored or not, exactly; other angles as a rotation."""
    matrix = _matrix(frame)
    if matrix is None:
        return image
    (a, b), (c, d) = matrix  # a point (x, y) is shown at (a x + c y, b x + d y)
    if _is_along_axis(a, c) and _is_along_axis(d, b):
        across, down = a, d
    elif _is_along_axis(c, a) and _is_along_axis(b, d):
        image = image.transpose(Image.Transpose.TRANSPOSE)
        across, down = c, b
    else:
        return image.rotate(frame.rotation, expand=True)
    if across < 0:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return image.transpose(Image.Transpose.FLIP_TOP_BOTTOM) if down < 0 else image


def _is_along_axis(along: float, aside: float) -> bool:
    return abs(aside) <= abs(along) * math.tan(TOLERANCE) and along != 0


def _matrix(frame: VideoFrame) -> list[list[float]] | None:
    """The part of the display matrix that turns, ``(2, 2)``; None without one, and for one that shows nothing."""
    notes: Any = frame.side_data  # typed otherwise in each release of PyAV
    for place in range(len(notes)):
        if notes[place].type.name == MATRIX:
            values = np.frombuffer(bytes(notes[place]), np.int32)
            a, b, c, d = (float(values[place]) for place in (0, 1, 3, 4)) if len(values) == 9 else (0.0,) * 4
            return [[a, b], [c, d]] if a * d != b * c else None
    return None
