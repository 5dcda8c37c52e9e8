"""What a reader must know before believing a run's numbers: warnings as data, each with advice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from reports.run.measurements import Measurements
from reports.summary.load_notices import load_notices
from reports.summary.machine_notices import machine_notices
from reports.summary.notice import Notice, NoticeKind
from reports.summary.popularity_notices import popularity_notices
from reports.summary.row import Row
from reports.summary.row_notices import row_notices
from reports.summary.server_notices import server_notices


def find_notices(run: Measurements, rows: Sequence[Row]) -> list[Notice]:
    """All that a run and its summary ``rows`` give reason for, by workload."""
    notices: list[Notice] = []
    for workload in dict.fromkeys(row.workload for row in rows):
        mine = [row for row in rows if row.workload == workload]
        records = [record for record in run.records if record.workload == workload]
        notices += [*row_notices(mine), *machine_notices(records, run.manifest.reference), *server_notices(records)]
        notices += load_notices(mine, run.manifest.load)
        asked = run.manifest.document.get("asked")
        notices += _without_images(asked, mine)
        notices += [*popularity_notices(_options(asked, workload), mine), *_not_the_benchmarks(asked, workload)]
    return notices


def _options(asked: Any, workload: str) -> dict[str, Any]:
    """The options of a workload's stream, as a manifest has them; empty where it has none."""
    options = asked.get(workload) if isinstance(asked, dict) else None
    return options if isinstance(options, dict) else {}


def _without_images(asked: Any, mine: Sequence[Row]) -> Iterator[Notice]:
    """Tell a run whose questions were asked without their media."""
    reference = mine[0]
    if _options(asked, reference.workload).get("no_image") is True:
        share = reference.accuracy
        found = "no score is known" if share is None else f"{reference.runner} scores {100 * share:.1f} % without any"
        text = f"asked without its media (--no-image): {found}, and nothing can be reused"
        yield Notice(NoticeKind.NO_IMAGE, reference.workload, None, text, "compare with the same run with media")


def _not_the_benchmarks(asked: Any, workload: str) -> Iterator[Notice]:
    """Tell a score that is not what the benchmark of that name publishes."""
    options = _options(asked, workload)
    benchmark_score, metrics = options.get("benchmark_score"), options.get("metrics")
    if isinstance(benchmark_score, str):
        own = ", ".join(map(str, metrics)) if isinstance(metrics, list) else "another metric"
        text = f"scored by {own}; the benchmark's own score is {benchmark_score}"
        advice = "compare runners by it, and nothing with published scores"
        yield Notice(NoticeKind.NOT_THE_BENCHMARKS, workload, None, text, advice)
