"""Print the summary as tables for people: one per workload, one of repair, the legend beneath all."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from reports.summary.column import Column
from reports.summary.notice import Notice
from reports.summary.row import TABLE_COLUMNS, Row
from reports.tables import screen
from reports.tables import summary as tables
from reports.tables.repair import legend_columns, repair_table

WIDTH = screen.WIDTH


def render(rows: Sequence[Row], reference: str, notices: Sequence[Notice]) -> Group:
    """Tables in the order of the rows, none of no rows; ``reference`` is marked. Readable at ``WIDTH`` characters."""
    parts: list[RenderableType] = []
    for workload in dict.fromkeys(row.workload for row in rows):
        mine = [row for row in rows if row.workload == workload]
        parts += screen.section(tables.summary_table(mine, reference, notices))
    parts += repair_section(rows)
    return Group(*parts, *(legend(row.margin, row.alpha, legend_columns(rows)) for row in rows[:1]))


def repair_section(rows: Sequence[Row]) -> list[RenderableType]:
    """The table of repair; nothing where no runner promises a risk."""
    table = repair_table(rows)
    return screen.section(table) if table.rows else []


def legend(margin: float, alpha: float, columns: Sequence[Column] = TABLE_COLUMNS) -> Text:
    """What the columns of a table, verdicts and intervals mean, in faint lines."""
    return Text("\n" + "\n".join(tables.legend(margin, alpha, columns)), style="dim")
