"""Make the table of what servers told of their caches in warm requests, kind by kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reports.summary.row import COLUMNS, Row
from reports.tables.cells import cell
from reports.tables.summary import table_column
from reports.tables.table import Table

NAMES = (
    "workload",
    "runner",
    "server_prefix_share",
    "server_preprocessing_rate",
    "server_encoder_rate",
    "server_kv_share",
    "invalid",
)
SERVER_COLUMNS = tuple(column for name in NAMES for column in COLUMNS if column.name == name)


def server_table(rows: Sequence[Row]) -> Table:
    """Make one line for each server and workload; without rows where no server answered."""
    columns = [replace(table_column(column), is_label=column.name == "runner") for column in SERVER_COLUMNS]
    lines = [[cell(column, row) for column in SERVER_COLUMNS] for row in rows if row.invalid is not None]
    return Table("what the servers had cached", columns, lines, dense=True)
