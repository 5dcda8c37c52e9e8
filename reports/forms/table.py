"""Print the summary as tables for people: one per workload, those of repair and of servers, the legend beneath all."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from reports.summary.column import Column
from reports.summary.notice import Notice
from reports.summary.row import TABLE_COLUMNS, Row
from reports.tables import screen
from reports.tables import summary as tables
from reports.tables.details import detail_tables, legend_columns

WIDTH = screen.WIDTH


def render(rows: Sequence[Row], reference: str, notices: Sequence[Notice]) -> Group:
    """Tables in the order of the rows, none of no rows; ``reference`` is marked. Readable at ``WIDTH`` characters."""
    parts: list[RenderableType] = []
    for workload in dict.fromkeys(row.workload for row in rows):
        mine = [row for row in rows if row.workload == workload]
        parts += screen.section(tables.summary_table(mine, reference, notices))
    parts += detail_sections(rows)
    return Group(*parts, *(legend(row.margin, row.alpha, legend_columns(rows)) for row in rows[:1]))


def detail_sections(rows: Sequence[Row]) -> list[RenderableType]:
    """The tables of repair and of servers; nothing where there is nothing to say of them."""
    return [part for table in detail_tables(rows) for part in screen.section(table)]


def legend(margin: float, alpha: float, columns: Sequence[Column] = TABLE_COLUMNS) -> Text:
    """What the columns of a table, verdicts and intervals mean, in faint lines."""
    return Text("\n" + "\n".join(tables.legend(margin, alpha, columns)), style="dim")
