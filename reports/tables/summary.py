"""Make tables of summary rows, of changed answers and of runs side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from reports.compare import COMPARED, Comparison
from reports.statistics.formatting import UNDEFINED
from reports.summary.column import Column
from reports.summary.flips import Flip, count_flips, flip_counts_as_text
from reports.summary.notice import Notice
from reports.summary.row import COLUMNS, TABLE_COLUMNS, Row
from reports.summary.row_notices import points
from reports.tables.cells import cell, difference, one_line, plain_number
from reports.tables.table import Note, Table, TableColumn

COLUMN_OF = {column.name: column for column in COLUMNS}


def summary_table(rows: Sequence[Row], reference: str, notices: Iterable[Notice]) -> Table:
    """The rows of one workload, ``reference`` marked, and the notices about it."""
    columns = [replace(table_column(column), is_label=column.name == "runner") for column in TABLE_COLUMNS]
    marked = [replace(row, runner=f"{row.runner} *") if row.runner == reference else row for row in rows]
    return Table(
        title=rows[0].workload,
        columns=columns,
        rows=[[cell(column, row) for column in TABLE_COLUMNS] for row in marked],
        about=about(rows[0]),
        notes=notes_on(rows[0].workload, notices),
        dense=True,
    )


def table_column(column: Column) -> TableColumn:
    """A column of the summary as one of a table."""
    return TableColumn(one_line(column.title), column.title, right=bool(column.unit))


def about(row: Row) -> str:
    """What the rows of a workload are about."""
    return f"{row.requests} requests, {row.model} on {row.device} in {row.dtype}"


def notes_on(workload: str, notices: Iterable[Notice]) -> list[Note]:
    """One line for each notice about a workload."""
    return [Note(str(notice), notice.kind.style) for notice in notices if notice.workload == workload]


def ledger_table(flips: Sequence[Flip]) -> Table:
    """How many changed answers of each kind every runner gave; without rows where none is changed."""
    head, rows = flip_counts_as_text(count_flips(flips))
    columns = [
        TableColumn(title, title.replace("->", "->\n").replace(", ", ",\n"), right=place > 1)
        for place, title in enumerate(head)
    ]
    return Table("changed answers", columns, rows)


def comparison_table(comparison: Comparison) -> Table:
    """Each runner in each run, with its differences to the first run; beneath it what makes runs differ."""
    columns = [TableColumn("workload"), TableColumn("runner"), TableColumn("run")]
    for name in COMPARED:
        columns.append(replace(table_column(COLUMN_OF[name]), right=True, wrap=False))
        columns.append(TableColumn("less the first", "less\nfirst", right=True, wrap=False))
    rows = [
        [
            change.workload,
            change.runner,
            change.run,
            *(
                text
                for name in COMPARED
                for text in (
                    plain_number(COLUMN_OF[name], change.values[name]),
                    difference(COLUMN_OF[name], change.changes[name]),
                )
            ),
        ]
        for change in comparison.changes
    ]
    mismatches = [Note(str(mismatch), "yellow") for mismatch in comparison.mismatches]
    return Table("comparison", columns, rows, notes=mismatches)


def legend(margin: float, alpha: float, columns: Sequence[Column] = TABLE_COLUMNS) -> list[str]:
    """One line for each column of a table, and what verdicts and intervals mean."""
    return [
        *(line for column in columns for line in _explanations(column, margin)),
        f"[low,high]: {100 * (1 - alpha):g} % interval; requests that share media count for less than separate ones",
        f"{UNDEFINED}: undefined, or too little was seen to say",
    ]


def _explanations(column: Column, margin: float) -> Iterator[str]:
    good = f" ({column.better} is better)" if column.better else ""
    yield f"{one_line(column.title)}: {column.meaning}{good}"
    if column.words:
        words = ", ".join(f"{word} = {text}" for text, word in column.words)
        yield f"{words}; the margin is {points(margin)}"
