"""Numbers and intervals as text, a dash where they are undefined."""

from __future__ import annotations

UNDEFINED = "-"


def number(value: float | None, spec: str, scale: float = 1) -> str:
    """A number as it is shown, a dash where it is undefined."""
    return UNDEFINED if value is None or value != value else format(value * scale, spec)


def interval(low: float | None, high: float | None, spec: str, scale: float = 1) -> str:
    """Both ends, or nothing where they are undefined."""
    return "" if low is None or high is None else f"[{low * scale:{spec}}, {high * scale:{spec}}]"
