"""Make texts fit for a picture or a page: no control characters, no more than there is room for."""

from __future__ import annotations

import re

from workloads.printable import OBEYED

LONGEST_LABEL = 24


def legible(text: str) -> str:
    """A text without characters that no document may hold."""
    return OBEYED.sub(_mark, text)


def short(text: str, most: int = LONGEST_LABEL) -> str:
    """A label's beginning and end, of at most so many characters."""
    clean = " ".join(legible(text).split())
    half = most // 2
    return clean if len(clean) <= most else f"{clean[:half]}\N{HORIZONTAL ELLIPSIS}{clean[half + 1 - most :]}"


def _mark(found: re.Match[str]) -> str:
    """What stands in place of a character: white space stays."""
    return found[0] if found[0] in "\t\r" else "\N{REPLACEMENT CHARACTER}"
