"""Choose the tables that stand behind those of the workloads, where there is something to say, and their legend."""

from __future__ import annotations

from collections.abc import Sequence

from reports.summary.column import Column
from reports.summary.row import TABLE_COLUMNS, Row
from reports.tables.load import LOAD_COLUMNS, load_table, times_table
from reports.tables.repair import REPAIR_COLUMNS, repair_table
from reports.tables.servers import SERVER_COLUMNS, server_table
from reports.tables.table import Table


def detail_tables(rows: Sequence[Row]) -> list[Table]:
    """Make the tables of load, of servers and of repair, each only where it has rows."""
    tables = (load_table(rows), times_table(rows), server_table(rows), repair_table(rows))
    return [table for table in tables if table.rows]


def legend_columns(rows: Sequence[Row], above: Sequence[Column] = TABLE_COLUMNS) -> list[Column]:
    """List the columns that need an explanation: those of the tables ``above``, and of the tables of details."""
    promised = any(row.risk_promised is not None for row in rows)
    served = any(row.invalid is not None for row in rows)
    loaded = any(row.throughput_rps is not None for row in rows)
    kinds = ((LOAD_COLUMNS, loaded), (SERVER_COLUMNS, served), (REPAIR_COLUMNS, promised))
    behind = [column for columns, is_shown in kinds if is_shown for column in columns]
    return list(dict.fromkeys([*above, *behind]))
