"""Warnings that the times of the reference give reason for: it does the same work throughout, so they tell the machine.

Times are compared per floating point operation, which leaves the length of a prompt out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from reports.summary.notice import Notice, NoticeKind
from runners.records import Record, Status

FEWEST = 12
LEAST = 1e-200  # milliseconds per floating point operation: with less no clock measured anything
SLOW_START = 2.0
DRIFT = 1.15
STALL = 1.5
MOST_STALLS = 0.1


def machine_notices(records: Sequence[Record], reference: str) -> Iterator[Notice]:
    """Of one workload's ``records``, in the order they were made."""
    measured = [record for record in records if record.runner == reference and record.status is Status.OK]
    paces = np.asarray([_pace(record) for record in measured])
    if len(paces) < FEWEST or not ((paces >= LEAST) & np.isfinite(paces)).all():
        return
    workload = measured[0].workload
    usual = float(np.median(paces[1:]))
    if paces[0] > SLOW_START * usual:
        yield Notice(
            NoticeKind.COLD_FIRST_RUN,
            workload,
            reference,
            f"the first request took {float(paces[0]) / usual:.1f} times as long as usual for its work",
            "give --warmup a few requests more",
        )
    yield from _drift(workload, reference, paces[1:])
    stalls = float((paces[1:] > STALL * usual).mean())
    if stalls > MOST_STALLS:
        yield Notice(
            NoticeKind.CONTENTION,
            workload,
            reference,
            f"{100 * stalls:.0f} % of {reference}'s requests took over {STALL:g} times as long as usual for their work",
            "something else uses the machine: measure again when it is quiet",
        )


def _drift(workload: str, reference: str, paces: NDArray[np.float64]) -> Iterator[Notice]:
    third = len(paces) // 3
    change = float(np.median(paces[-third:]) / np.median(paces[:third]))
    if max(change, 1 / change) > DRIFT:
        told = f"{100 * (max(change, 1 / change) - 1):.0f} % {'slower' if change > 1 else 'faster'}"
        yield Notice(
            NoticeKind.DRIFTED_CLOCK,
            workload,
            reference,
            f"the machine became {told} from the first third of the run to the last",
            "ratios are paired request by request and hold; do not compare milliseconds with other runs",
        )


def _pace(record: Record) -> float:
    """Milliseconds per floating point operation; NaN where either is unknown."""
    if record.timing is None or record.cache is None or not record.cache.flops:
        return float("nan")
    return record.timing.ttft_ms / record.cache.flops
