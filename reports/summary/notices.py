"""What a reader must know before believing a run's numbers: warnings as data, each with advice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reports.summary.machine_notices import machine_notices
from reports.summary.notice import Notice
from reports.summary.row_notices import row_notices
from runners.records import Record

Row = Mapping[str, Any]


def find_notices(records: Sequence[Record], rows: Sequence[Row], manifest: Mapping[str, Any]) -> list[Notice]:
    """All that ``records``, their summary ``rows`` and the ``manifest`` give reason for, by workload."""
    found: list[Notice] = []
    for workload in dict.fromkeys(row["workload"] for row in rows):
        mine = [row for row in rows if row["workload"] == workload]
        asked = [record for record in records if record.workload == workload]
        found += [*row_notices(mine), *machine_notices(asked, manifest["config"]["reference"])]
    return found
