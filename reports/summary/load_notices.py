"""Warnings about load: a client that was late, or the bottleneck, measures itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reports.run.manifest import LoadDescription
from reports.summary.load import missed
from reports.summary.notice import Notice, NoticeKind
from reports.summary.row import Row


def load_notices(rows: Sequence[Row], load: LoadDescription | None) -> Iterator[Notice]:
    """Of one workload's rows."""
    for row in rows:
        reason = missed(row.to_json(), load)
        if reason is not None:
            advice = "no verdict: lower the rate, or ask from a faster or quieter machine"
            yield Notice(NoticeKind.CLIENT_BOUND, row.workload, row.runner, f"{row.runner}: {reason}", advice)
