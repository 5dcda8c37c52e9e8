"""Make the table of repair: what runners that promise a risk decided, what they predicted, and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reports.summary.column import Column
from reports.summary.row import COLUMNS, Row
from reports.tables.cells import cell
from reports.tables.summary import table_column
from reports.tables.table import Table

NAMES = (
    "workload",
    "runner",
    "kept_share",
    "repaired_share",
    "recomputed_share",
    "unlike_share",
    "recompute_ratio",
    "recompute_ratio_p90",
    "risk_promised",
    "risk_predicted",
    "risk_found",
    "calibration",
)
REPAIR_COLUMNS = tuple(column for name in NAMES for column in COLUMNS if column.name == name)
UNCALIBRATED = "uncalibrated"


def repair_table(rows: Sequence[Row]) -> Table:
    """Make one line for each runner and workload where something is promised; without rows where nothing is."""
    columns = [replace(table_column(column), is_label=column.name == "runner") for column in REPAIR_COLUMNS]
    lines = [[_cell(column, row) for column in REPAIR_COLUMNS] for row in rows if row.risk_promised is not None]
    return Table("repair and its risk", columns, lines, dense=True)


def _cell(column: Column, row: Row) -> str:
    return UNCALIBRATED if column.name == "calibration" and row.calibration is None else cell(column, row)
