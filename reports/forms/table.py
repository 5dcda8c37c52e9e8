"""The summary as tables for people: one per workload, the legend beneath all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from reports.statistics.shown import UNDEFINED
from reports.summary.column import Column
from reports.summary.notice import Notice
from reports.summary.row import TABLE_COLUMNS, Row
from reports.summary.row_notices import points
from reports.tables.cells import cell, one_line

WIDTH = 120
LABEL_WIDTH = 18


def render(rows: Sequence[Row], reference: str, notices: Sequence[Notice]) -> Group:
    """Tables in the order of the rows, none of no rows; ``reference`` is marked. Readable at ``WIDTH`` characters."""
    parts: list[RenderableType] = []
    for workload in dict.fromkeys(row.workload for row in rows):
        mine = [row for row in rows if row.workload == workload]
        parts += [heading(mine), _table(mine, reference), *warnings(notices, workload)]
    return Group(*parts, *(legend(row.margin, row.alpha) for row in rows[:1]))


def legend(margin: float, alpha: float, columns: Sequence[Column] = TABLE_COLUMNS) -> Text:
    """One line for each column of a table, and what verdicts and intervals mean."""
    lines = []
    for column in columns:
        good = f" ({column.better} is better)" if column.better else ""
        lines.append(f"{one_line(column.title)}: {column.meaning}{good}")
        if column.words:
            shown = ", ".join(f"{word} = {text}" for text, word in column.words)
            lines.append(f"{shown}; the margin is {points(margin)}")
    lines.append(
        f"[low,high]: {100 * (1 - alpha):g} % interval; requests that share media count for less than separate ones"
    )
    lines.append(f"{UNDEFINED}: undefined, or too little was seen to say")
    return Text("\n" + "\n".join(lines), style="dim")


def heading(rows: Sequence[Row]) -> Text:
    """What one workload's rows are about."""
    first = rows[0]
    what = f"{first.requests} requests, {first.model} on {first.device} in {first.dtype}"
    return Text.assemble("\n", (first.workload, "bold"), f": {what}\n")


def _table(rows: Sequence[Row], reference: str) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=0, pad_edge=False)
    for column in TABLE_COLUMNS:
        table.add_column(column.title, justify="right" if column.unit else "left", overflow="fold")
    for row in rows:
        shown = replace(row, runner=_label(row.runner, reference))
        table.add_row(*(Text(cell(column, shown)) for column in TABLE_COLUMNS))
    return table


def _label(runner: str, reference: str) -> str:
    """The runner's label, marked if it is the reference; the options of a long one stand on lines of their own."""
    marked = f"{runner} *" if runner == reference else runner
    return marked.replace("@", "\n@", 1).replace(",", ",\n") if len(marked) > LABEL_WIDTH else marked


def warnings(notices: Iterable[Notice], workload: str) -> list[Text]:
    """One line for each notice about a workload."""
    return [Text(str(notice), style=notice.kind.style) for notice in notices if notice.workload == workload]
