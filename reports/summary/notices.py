"""What a reader must know before believing a run's numbers: warnings as data, each with advice."""

from __future__ import annotations

from collections.abc import Sequence

from reports.run.measurements import Measurements
from reports.summary.machine_notices import machine_notices
from reports.summary.notice import Notice
from reports.summary.row import Row
from reports.summary.row_notices import row_notices


def find_notices(run: Measurements, rows: Sequence[Row]) -> list[Notice]:
    """All that a run and its summary ``rows`` give reason for, by workload."""
    notices: list[Notice] = []
    for workload in dict.fromkeys(row.workload for row in rows):
        mine = [row for row in rows if row.workload == workload]
        records = [record for record in run.records if record.workload == workload]
        notices += [*row_notices(mine), *machine_notices(records, run.manifest.reference)]
    return notices
