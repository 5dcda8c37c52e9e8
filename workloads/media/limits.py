"""Limits of pictures and of frames of videos: what is larger is not decoded."""

from __future__ import annotations

MOST_PIXELS = 100_000_000  # of one decoded frame: 300 MB as RGB; a 600 dpi A4 scan has 35 million
MOST_BYTES = 64 * 2**20  # of an encoded picture
TOO_LARGE = f"no more than {MOST_PIXELS // 10**6} million are decoded, scale it down"
