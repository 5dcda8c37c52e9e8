"""Warnings about servers: caches that were not in the state that a request is named for, or that nobody could check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reports.summary.notice import Notice, NoticeKind
from runners.records import Record, Status

UNSEEN = 1e-3  # of the probability; what is less changes no divergence that matters


def server_notices(records: Sequence[Record]) -> Iterator[Notice]:
    """Of one workload's ``records``."""
    for label in dict.fromkeys(record.runner for record in records if record.served is not None):
        mine = [record for record in records if record.runner == label]
        invalid = [record for record in mine if record.invalid is not None]
        if invalid:
            text = f"{label}: {len(invalid)} of {len(mine)} answers are no evidence: {invalid[0].invalid}"
            advice = "they are left out; see docs/serving.md for what empties and keeps the caches of a server"
            yield Notice(NoticeKind.INVALID_STATE, mine[0].workload, label, text, advice)
        unseen = [served.unseen_mass for record in mine if (served := record.served) and served.unseen_mass is not None]
        if unseen and max(unseen) > UNSEEN:
            text = f"{label}: KL is a lower bound, up to {100 * max(unseen):.1f} % of the probability was not told"
            advice = "raise logprobs= of both runners, and what the server allows (vLLM: --max-logprobs)"
            yield Notice(NoticeKind.PARTIAL_KL, mine[0].workload, label, text, advice)
        named = [
            served
            for record in mine
            if record.status is Status.OK and (served := record.served) is not None and served.state != "stream"
        ]
        unchecked = sum(not served.checked for served in named)
        if unchecked:
            text = f"{label}: the caches of {unchecked} of {len(named)} requests could not be checked"
            advice = (
                "the server does not tell what they held: that they were in the state they are named for is assumed"
            )
            yield Notice(NoticeKind.UNCHECKED_STATE, mine[0].workload, label, text, advice)
