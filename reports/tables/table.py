"""Describe a table without saying how it is rendered: a title, columns with their alignment, rows of texts, notes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True)
class TableColumn:
    """One column.

    Attributes:
        title: on one line.
        narrow_title: the same with line breaks, for a screen; the title where it is empty.
        right: whether it is aligned to the right, as numbers are.
        wrap: whether a cell may be broken over lines.
        max_width: in characters of a screen.
        is_label: whether it holds labels of runners, whose options may stand on lines of their own.
    """

    title: str
    narrow_title: str = ""
    right: bool = False
    wrap: bool = True
    max_width: int | None = None
    is_label: bool = False


@dataclass(frozen=True)
class Note:
    """One line beneath a table; ``style`` is its colour on a screen."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        title: a name, such as the workload's.
        about: what is said of it behind the title; empty for nothing.
        rows: as many texts each as there are columns.
        emphasised: the places of rows that stand out.
        styles: colours of single cells on a screen, by the places of their row and column.
        dense: whether columns stand as close as can be.
    """

    title: str
    columns: Sequence[TableColumn]
    rows: Sequence[Sequence[str]]
    about: str = ""
    notes: Sequence[Note] = ()
    emphasised: frozenset[int] = frozenset()
    styles: Mapping[tuple[int, int], str] = field(default_factory=dict)
    dense: bool = False

    @classmethod
    def of_numbers(cls, title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Self:
        """A table whose first column names what the numbers in the others are of."""
        columns = [TableColumn(name, right=place > 0) for place, name in enumerate(head)]
        return cls(title, columns, list(rows))

    @property
    def heading(self) -> str:
        """Title and what is said of it, on one line."""
        return f"{self.title}: {self.about}" if self.about else self.title
