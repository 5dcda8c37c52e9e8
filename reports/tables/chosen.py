"""Make a table of chosen columns of the summary, one line for each workload and runner."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from reports.summary.column import Column
from reports.summary.row import COLUMNS, Row
from reports.tables.cells import cell
from reports.tables.summary import table_column
from reports.tables.table import Table


def columns_named(names: Iterable[str]) -> tuple[Column, ...]:
    """The columns of these names, in their order."""
    return tuple(column for name in names for column in COLUMNS if column.name == name)


def chosen_table(
    title: str, columns: Sequence[Column], rows: Iterable[Row], text_of: Callable[[Column, Row], str] = cell
) -> Table:
    """Make the table; ``text_of`` says what stands in a cell."""
    heads = [replace(table_column(column), is_label=column.name == "runner") for column in columns]
    return Table(title, heads, [[text_of(column, row) for column in columns] for row in rows], dense=True)
