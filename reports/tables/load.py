"""Make the tables of runs under load: rates, goodput and the client's lag; and percentiles of times with intervals."""

from __future__ import annotations

from collections.abc import Sequence

from reports.summary.row import Row
from reports.tables.cells import cell
from reports.tables.chosen import chosen_table, columns_named
from reports.tables.table import Table, TableColumn

NAMES = ("workload", "runner", "throughput_rps", "goodput_rps", "slo_share", "client_lag_ms_p99")
TIMES = {"to first token": "ttft_ms", "for each token behind it": "tpot_ms", "to the end": "e2e_ms"}
"""By what the table calls them, the times that it shows."""
RANKS = (50, 90, 99)
LOAD_COLUMNS = columns_named(NAMES)


def load_table(rows: Sequence[Row]) -> Table:
    """Make one line for each runner and workload; without rows where requests came one by one."""
    return chosen_table("under load", LOAD_COLUMNS, (row for row in rows if row.throughput_rps is not None))


def times_table(rows: Sequence[Row]) -> Table:
    """Make one line for each runner, workload and time; without rows where requests came one by one."""
    names = [TableColumn("workload"), TableColumn("runner", is_label=True), TableColumn("time")]
    return Table(
        title="times under load",
        about="milliseconds, at so many percent [interval, which allows for requests that wait for each other]",
        columns=[*names, *(TableColumn(f"{rank} %", right=True) for rank in RANKS)],
        rows=[
            [row.workload, row.runner, name, *(_percentile(row, time, rank) for rank in RANKS)]
            for row in rows
            if row.throughput_rps is not None
            for name, time in TIMES.items()
        ],
        dense=True,
    )


def _percentile(row: Row, time: str, rank: int) -> str:
    (column,) = columns_named([f"{time}_p{rank}"])
    return cell(column, row)
