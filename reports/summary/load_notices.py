"""Warnings about load: a client that was late, or the bottleneck, measures itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reports.summary.notice import Notice, NoticeKind


def load_notices(workload: str, bound: Mapping[tuple[str, str], str]) -> Iterator[Notice]:
    """Of one workload; ``bound``: see ``load.client_bound``."""
    for (where, runner), reason in bound.items():
        if where == workload:
            advice = "no verdict: lower the rate, ask with more --clients, or from a faster or quieter machine"
            yield Notice(NoticeKind.CLIENT_BOUND, workload, runner, f"{runner}: {reason}", advice)
