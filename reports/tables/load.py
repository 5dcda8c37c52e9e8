"""Make the table of runs under load: rates, goodput, times to the first token and behind it, and the client's lag."""

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
    "throughput_rps",
    "goodput_rps",
    "slo_share",
    "ttft_ms_p50",
    "ttft_ms_p99",
    "tpot_ms_p50",
    "e2e_ms_p50",
    "e2e_ms_p99",
    "client_lag_ms_p99",
)
LOAD_COLUMNS = tuple(column for name in NAMES for column in COLUMNS if column.name == name)


def load_table(rows: Sequence[Row]) -> Table:
    """Make one line for each runner and workload; without rows where requests came one by one."""
    columns = [replace(table_column(column), is_label=column.name == "runner") for column in LOAD_COLUMNS]
    lines = [[cell(column, row) for column in LOAD_COLUMNS] for row in rows if row.throughput_rps is not None]
    return Table("under load", columns, lines, dense=True)
