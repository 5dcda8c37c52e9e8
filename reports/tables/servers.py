"""Make the table of what servers told of their caches in warm requests, kind by kind."""

from __future__ import annotations

from collections.abc import Sequence

from reports.summary.row import Row
from reports.tables.chosen import chosen_table, columns_named
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
SERVER_COLUMNS = columns_named(NAMES)


def server_table(rows: Sequence[Row]) -> Table:
    """Make one line for each server and workload; without rows where no server answered."""
    return chosen_table("what the servers had cached", SERVER_COLUMNS, (row for row in rows if row.invalid is not None))
