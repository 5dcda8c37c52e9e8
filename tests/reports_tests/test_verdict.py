from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.statistics.intervals import Interval, difference_interval
from reports.statistics.verdict import requests_needed, verdict_on


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.01, 0.01, "non-inferior"),
        (0.05, 0.1, "non-inferior"),
        (-0.03, 0.03, "undecided"),
        (-0.02, 0.01, "undecided"),
        (-0.1, -0.02, "undecided"),
        (-0.1, -0.03, "inferior"),
    ],
)
def test_the_whole_interval_decides(low: float, high: float, verdict: str) -> None:
    assert verdict_on(Interval(low, high), 0.02) == verdict


def test_what_is_not_known_is_not_judged() -> None:
    assert verdict_on(None, 0.02) is None


def test_two_points_need_189_clusters() -> None:
    assert requests_needed(0.02, 0.05) == 189


@given(st.floats(0.005, 0.9), st.floats(0.01, 0.4))
def test_so_many_clusters_decide_when_nothing_flips_and_one_less_does_not(margin: float, alpha: float) -> None:
    needed = requests_needed(margin, alpha)
    for count, verdict in ((needed, "non-inferior"), (needed - 1, "undecided")):
        change = difference_interval([0.0] * count, [str(number) for number in range(count)], alpha)
        assert verdict_on(change, margin) == (verdict if count > 1 else None)
