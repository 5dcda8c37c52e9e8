"""Metrics against answers worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.records import Answer
from workloads.scoring import METRICS, score


@pytest.mark.parametrize(
    ("prediction", "accepted", "expected"),
    [
        ("7", ("7",), 1),
        (" 7\n", ("7",), 1),
        ("none", ("None", "none "), 1),
        ("A", ("a",), 0),
        ("7 7", ("7",), 0),
        ("7.", ("7",), 0),
        ("", ("7",), 0),
        ("", ("",), 1),
        ("", (), 0),
    ],
)
def test_exact_match(prediction: str, accepted: tuple[str, ...], expected: float) -> None:
    assert score(prediction, Answer(accepted, "exact-match")) == expected


@pytest.mark.parametrize("metric", list(METRICS))
@given(prediction=st.text(), accepted=st.lists(st.text(), min_size=1, max_size=3))
def test_every_metric_stays_between_0_and_1(metric: str, prediction: str, accepted: list[str]) -> None:
    assert 0 <= METRICS[metric](prediction, accepted) <= 1
    assert METRICS[metric](accepted[0], accepted) == 1
