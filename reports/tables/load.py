"""Make the table of runs under load: rates, goodput, times to the first token and behind it, and the client's lag."""

from __future__ import annotations

from collections.abc import Sequence

from reports.summary.row import Row
from reports.tables.chosen import chosen_table, columns_named
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
LOAD_COLUMNS = columns_named(NAMES)


def load_table(rows: Sequence[Row]) -> Table:
    """Make one line for each runner and workload; without rows where requests came one by one."""
    return chosen_table("under load", LOAD_COLUMNS, (row for row in rows if row.throughput_rps is not None))
