from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from reports.run.frame import to_frame
from reports.statistics.changes import Changes
from reports.statistics.pairing import PairedDifference, paired_difference
from runners.records import Record, Status

MakeRecord = Callable[..., Record]

ALPHA = 0.05


@pytest.fixture
def frame(make_record: MakeRecord) -> pd.DataFrame:
    """Twelve requests in four clusters: ours is wrong on one, the rival on four and fails on a fifth."""
    records = [make_record("q0", "ours", workload="video", score=0.0)]
    for number in range(12):
        asked = {"request": f"q{number}", "cluster": f"album-{number % 4}"}
        records.append(make_record(runner="ours", score=float(number != 0), **asked))
        failing = Status.ERROR if number == 4 else Status.OK
        records.append(make_record(runner="rival", score=float(number > 3), status=failing, **asked))
    records.append(make_record("q99", "rival"))
    return to_frame(records)


def compare(frame: pd.DataFrame, first: str, second: str) -> PairedDifference:
    found = paired_difference(frame, "binding", first, second, ALPHA)
    assert found is not None
    assert found.interval is not None
    return found


def test_any_two_runners_are_compared_request_by_request(frame: pd.DataFrame) -> None:
    found = compare(frame, "ours", "rival")
    assert found.mean == pytest.approx(4 / 12)
    assert (found.requests, found.clusters) == (12, 4)
    expected = [0.0, 1.0, 1.0, 1.0, 1.0, 0, 0, 0, 0, 0, 0, 0]
    assert found.interval == Changes.of(expected, [f"album-{number % 4}" for number in range(12)]).interval(ALPHA)


def test_seen_from_the_rival_it_is_the_mirror_image(frame: pd.DataFrame) -> None:
    ours, rival = compare(frame, "ours", "rival"), compare(frame, "rival", "ours")
    assert ours.interval is not None
    assert rival.interval is not None
    assert rival.mean == -ours.mean
    assert [rival.interval.low, rival.interval.high] == pytest.approx([-ours.interval.high, -ours.interval.low])


def test_more_confidence_takes_a_wider_interval(frame: pd.DataFrame) -> None:
    found = paired_difference(frame, "binding", "ours", "rival", 0.3)
    wide = compare(frame, "ours", "rival").interval
    assert found is not None
    assert found.interval is not None
    assert wide is not None
    assert wide.low < found.interval.low < found.interval.high < wide.high


def test_requests_of_one_cluster_have_a_mean_and_no_interval(make_record: MakeRecord) -> None:
    frame = to_frame([make_record("q0", runner, cluster="album") for runner in ("ours", "rival")])
    assert paired_difference(frame, "binding", "ours", "rival", ALPHA) == PairedDifference(0.0, None, 1, 1)


@pytest.mark.parametrize(("workload", "first"), [("video", "ours"), ("binding", "nobody"), ("nothing", "ours")])
def test_nothing_in_common_is_nothing_to_compare(frame: pd.DataFrame, workload: str, first: str) -> None:
    assert paired_difference(frame, workload, first, "rival", ALPHA) is None
