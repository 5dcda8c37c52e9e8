"""Make the table of repair: what runners that promise a risk decided, what they predicted, and what was found."""

from __future__ import annotations

from collections.abc import Sequence

from reports.summary.column import Column
from reports.summary.row import Row
from reports.tables.cells import cell
from reports.tables.chosen import chosen_table, columns_named
from reports.tables.table import Table

NAMES = (
    "workload",
    "runner",
    "kept_share",
    "repaired_share",
    "recomputed_share",
    "unlike_share",
    "skipped_share",
    "doubt_share",
    "recompute_ratio",
    "recompute_ratio_p90",
    "risk_promised",
    "risk_predicted",
    "risk_found",
    "calibration",
)
REPAIR_COLUMNS = columns_named(NAMES)
UNCALIBRATED = "uncalibrated"


def repair_table(rows: Sequence[Row]) -> Table:
    """Make one line for each runner and workload where something is promised; without rows where nothing is."""
    return chosen_table(
        "repair and its risk", REPAIR_COLUMNS, (row for row in rows if row.risk_promised is not None), _cell
    )


def _cell(column: Column, row: Row) -> str:
    return UNCALIBRATED if column.name == "calibration" and row.calibration is None else cell(column, row)
