"""Make texts fit for a picture or a page: no control characters, no more than there is room for."""

from __future__ import annotations

import re

CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
LONGEST_LABEL = 24


def legible(text: str) -> str:
    """A text without characters that no document may hold."""
    return CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)


def short(text: str, most: int = LONGEST_LABEL) -> str:
    """A label's beginning and end, of at most so many characters."""
    clean = " ".join(legible(text).split())
    half = most // 2
    return clean if len(clean) <= most else f"{clean[:half]}\N{HORIZONTAL ELLIPSIS}{clean[half + 1 - most :]}"
