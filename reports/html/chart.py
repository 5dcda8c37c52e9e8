"""What a section of the report shows: drawings, and the same numbers as a table for those who cannot see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

UNDEFINED = "-"


@dataclass(frozen=True)
class Chart:
    """One drawing.

    Attributes:
        notes: lines beneath it, such as what its numbers stand for.
    """

    title: str
    svg: Markup
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Numbers:
    """A table of texts; the first of each line names it."""

    caption: str
    head: tuple[str, ...]
    lines: Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Part:
    """Drawings of the same kind for one workload, or another thing that ``title`` names, and their numbers."""

    title: str
    charts: Sequence[Chart]
    numbers: Numbers


def number(value: float | None, spec: str, scale: float = 1) -> str:
    """A number as it is shown, a dash where it is undefined."""
    return UNDEFINED if value is None or value != value else format(value * scale, spec)


def interval(low: float | None, high: float | None, spec: str, scale: float = 1) -> str:
    """Both ends, or nothing where they are undefined."""
    return "" if low is None or high is None else f"[{low * scale:{spec}}, {high * scale:{spec}}]"
