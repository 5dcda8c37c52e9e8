"""Hold the drawings of a section of the page, and the same numbers as a table for those who cannot see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from reports.tables.table import Table


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
class ChartGroup:
    """Drawings of the same kind for one workload, or another thing that ``title`` names, and their numbers."""

    title: str
    charts: Sequence[Chart]
    numbers: Table
