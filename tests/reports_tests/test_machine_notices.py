from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from reports.summary.machine_notices import FEWEST, machine_notices
from reports.summary.notice import NoticeKind
from runners.records import Record

MakeRecord = Callable[..., Record]


def kinds(make_record: MakeRecord, times: Sequence[float]) -> list[NoticeKind]:
    records = [
        make_record(f"q{number}", ttft_ms=time * (1 + number % 3), flops=1e9 * (1 + number % 3))
        for number, time in enumerate(times)
    ]
    return [notice.kind for notice in machine_notices(records, "full")]


@pytest.mark.parametrize(
    ("times", "found"),
    [
        ([100.0] * 40, []),
        ([500.0] + [100.0] * 39, [NoticeKind.COLD_FIRST_RUN]),
        ([100.0 + number for number in range(40)], [NoticeKind.DRIFTED_CLOCK]),
        ([140.0 - number for number in range(40)], [NoticeKind.DRIFTED_CLOCK]),
        ([100.0, 100.0, 100.0, 100.0, 300.0] * 8, [NoticeKind.CONTENTION]),
        ([500.0] * (FEWEST - 1), []),
    ],
)
def test_what_times_of_the_reference_tell(make_record: MakeRecord, times: list[float], found: list[NoticeKind]) -> None:
    assert kinds(make_record, times) == found


@pytest.mark.parametrize("times", [[0.0] * 40, [5e-324] * 40, [0.0, 1e30] * 20, [1e30, *[1e-300] * 39]])
def test_times_that_no_clock_measures_tell_nothing(make_record: MakeRecord, times: list[float]) -> None:
    assert kinds(make_record, times) == []


def test_times_without_work_to_compare_them_by_tell_nothing(make_record: MakeRecord) -> None:
    records = [make_record(f"q{number}", ttft_ms=1.0 + number, flops=0.0) for number in range(20)]
    assert [*machine_notices(records, "full")] == []
