"""Limits of pictures and of frames of videos: what is larger is not decoded."""

from __future__ import annotations

MOST_PIXELS = 100_000_000  # of one decoded frame: 300 MB as RGB; a 600 dpi A4 scan has 35 million
MOST_EDGE = 65_535  # of a picture, in pixels, as in JPEG; every row takes memory beside its pixels
MOST_CLIP_PIXELS = 400_000_000  # of all frames of an animated picture, each of which the next one needs
MOST_BYTES = 64 * 2**20  # of an encoded picture
TOO_LARGE = f"no more than {MOST_PIXELS // 10**6} million are decoded, scale it down"


class TooLargeError(ValueError):
    """A picture of more pixels than are decoded: a sentence's end, as ``has an edge of ...``.

    Attributes:
        size: its width and height in words, where they are known.
        most: what is decoded at most, and how to get there.
    """

    def __init__(self, text: str, size: str, most: str = TOO_LARGE) -> None:
        super().__init__(text)
        self.size, self.most = size, most


def require_decodable(width: int, height: int) -> None:
    """TooLargeError for a picture or frame with more pixels, or a longer edge, than are decoded."""
    size = f"{width}x{height} pixels"
    if width * height > MOST_PIXELS:
        raise TooLargeError(too_many_pixels(), size)
    if max(width, height) > MOST_EDGE:
        most = f"no edge of more than {MOST_EDGE} is decoded, cut it or scale it down"
        raise TooLargeError(f"has {size}; {most}", size, most)


def too_many_pixels() -> str:
    """What is said of a picture that has them."""
    return f"has more than the {MOST_PIXELS // 10**6} million pixels that are decoded; scale it down"
