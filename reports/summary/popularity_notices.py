"""Warnings about popularity: requests about a few popular media are little separate evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reports.summary.notice import Notice, NoticeKind
from reports.summary.row import Row
from workloads.registry import WORKLOADS, load_workload


def popularity_notices(options: Mapping[str, Any], rows: Sequence[Row]) -> Iterator[Notice]:
    """Tell what popularity costs in evidence, from one workload's rows and the ``options`` of its stream, as saved.

    Yields nothing unless ``zipf`` was asked for, and less is known by that than by cases with media of their own.
    """
    workload, requests = rows[0].workload, rows[0].requests
    worths = [row.compared_worth for row in rows if row.compared_worth is not None]
    if options.get("popularity") != "zipf" or workload not in WORKLOADS or not worths:
        return
    size, worth = load_workload(workload).defaults.case, int(max(worths))
    if size is None or worth >= requests // size.requests:
        return
    yield Notice(
        NoticeKind.POPULARITY,
        workload,
        None,
        f"zipf popularity: these {requests} requests are worth {worth} separate {'one' if worth == 1 else 'ones'}",
        f"without --popularity they would be worth {requests // size.requests}",
    )
