"""Percentiles over requests of which some were not timed."""

from __future__ import annotations

from math import nan

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reports.statistics.intervals import percentile
from reports.statistics.strata import stratified_percentile

VALUES = st.floats(0, 1e6)
KINDS = st.sampled_from(["cold", "warm"])


@given(known=st.lists(st.tuples(VALUES, KINDS), max_size=30), rank=st.integers(0, 100))
def test_where_everything_is_known_it_is_the_plain_percentile(known: list[tuple[float, str]], rank: int) -> None:
    values, kinds = [value for value, _ in known], [kind for _, kind in known]
    assert stratified_percentile(values, kinds, rank) == percentile(values, rank)


@given(
    cold=st.lists(VALUES, min_size=1, max_size=9),
    warm=st.lists(VALUES, min_size=1, max_size=9),
    times=st.integers(2, 5),
)
def test_a_known_value_stands_for_those_of_its_kind(cold: list[float], warm: list[float], times: int) -> None:
    """As near to the percentile of the values repeated as interpolation allows: between its neighbours."""
    unknown = [nan] * len(cold) * (times - 1)
    kinds = ["cold"] * len(cold + unknown) + ["warm"] * len(warm)
    median = stratified_percentile([*cold, *unknown, *warm], kinds, 50)
    assert median is not None
    repeated = np.sort([*cold * times, *warm])
    middle = len(repeated) / 2
    distinct = np.unique(repeated)
    low, high = repeated[int(np.floor(middle - 0.5))], repeated[min(int(np.ceil(middle)), len(repeated) - 1)]
    at_low, at_high = np.searchsorted(distinct, low), np.searchsorted(distinct, high)
    assert distinct[max(at_low - 1, 0)] - 1e-6 <= median <= distinct[min(at_high + 1, len(distinct) - 1)] + 1e-6


def test_few_timed_cold_requests_are_not_fewer_cold_requests() -> None:
    """Ten cold requests of 100 ms, two of them timed, and ten warm ones of 1 to 10 ms."""
    values, kinds = [100.0, 100.0, *[nan] * 8, *map(float, range(1, 11))], ["cold"] * 10 + ["warm"] * 10
    assert stratified_percentile(values, kinds, 75) == 100.0
    assert percentile([100.0, 100.0, *range(1, 11)], 75) == 9.25


def test_a_kind_of_which_nothing_is_known_is_left_out() -> None:
    assert stratified_percentile([nan, nan, 3.0], ["cold", "cold", "warm"], 50) == 3.0
    assert stratified_percentile([nan], ["cold"], 50) is None
    assert stratified_percentile([], [], 50) is None
