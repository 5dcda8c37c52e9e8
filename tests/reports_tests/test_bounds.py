from __future__ import annotations

from math import inf, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from reports.statistics.bounds import (
    UNKNOWN,
    change_bounds,
    difference_bounds,
    quantile_bounds,
    quantile_ratio_bounds,
    requests_to_bound_quantile,
)
from reports.statistics.intervals import Interval, difference_interval

ALPHA = 0.05

compared = st.lists(
    st.tuples(st.floats(-1, 1, allow_subnormal=False) | st.sampled_from([-1.0, 0.0, 1.0]), st.sampled_from("abcdefg")),
    min_size=1,
    max_size=30,
)


def separate(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def split(pairs: list[tuple[float, str]]) -> tuple[list[float], list[str]]:
    return [value for value, _ in pairs], [cluster for _, cluster in pairs]


@pytest.mark.parametrize(("lost", "total"), [(0, 50), (1, 50), (6, 300), (50, 50)])
def test_where_nothing_is_gained_the_lower_end_is_no_higher_than_the_exact_one(lost: int, total: int) -> None:
    exact = binomtest(lost, total).proportion_ci(1 - 2 * ALPHA, method="exact")
    found = change_bounds([-1.0] * lost + [0.0] * (total - lost), separate(total), ALPHA)
    assert found.low <= -exact.high + 1e-12
    if lost:
        assert found.high >= -exact.low - 1e-12


@pytest.mark.parametrize("clusters", [3, 149, 299])
def test_without_a_flip_the_ends_are_exact(clusters: int) -> None:
    names = [str(number % clusters) for number in range(2 * clusters)]
    found = change_bounds([0.0] * 2 * clusters, names, ALPHA)
    assert [found.low, found.high] == pytest.approx([ALPHA ** (1 / clusters) - 1, 1 - ALPHA ** (1 / clusters)])


@given(compared, st.sampled_from([0.2, 0.05, 0.001]))
@settings(max_examples=60)
def test_no_end_is_nearer_than_the_intervals(pairs: list[tuple[float, str]], alpha: float) -> None:
    values, clusters = split(pairs)
    found, interval = change_bounds(values, clusters, alpha), difference_interval(values, clusters, 2 * alpha)
    if interval is None:
        assert found == UNKNOWN
    else:
        assert -1 <= found.low <= interval.low <= interval.high <= found.high <= 1


@given(compared)
@settings(max_examples=40)
def test_a_change_seen_from_the_other_side_is_the_mirror_image(pairs: list[tuple[float, str]]) -> None:
    values, clusters = split(pairs)
    there, back = change_bounds(values, clusters, ALPHA), change_bounds([-value for value in values], clusters, ALPHA)
    if there != UNKNOWN:
        assert [there.low, there.high] == pytest.approx([-back.high, -back.low], abs=1e-9)


@pytest.mark.parametrize("count", [5, 6, 10, 61])
def test_the_median_is_bounded_by_the_exact_sign_test(count: int) -> None:
    found = quantile_bounds(np.arange(count), separate(count), 0.5, ALPHA)
    rejected = sum(binomtest(below, count, alternative="less").pvalue <= ALPHA for below in range(count))
    assert [found.low, found.high] == [rejected - 1, count - rejected]


def test_too_few_values_bound_nothing() -> None:
    assert quantile_bounds([3.0, 4.0, 5.0, 6.0], separate(4), 0.5, ALPHA) == UNKNOWN
    assert quantile_bounds([3.0] * 9, ["one"] * 9, 0.5, ALPHA) == UNKNOWN
    assert quantile_bounds(np.arange(298), separate(298), 0.99, ALPHA).high == inf


@pytest.mark.parametrize(("share", "fewest"), [(0.5, 5), (0.99, 299), (0.01, 299)])
def test_so_many_requests_bound_a_quantile_and_one_less_does_not(share: float, fewest: int) -> None:
    assert requests_to_bound_quantile(share, ALPHA) == fewest
    for count, bounded in ((fewest, True), (fewest - 1, False)):
        found = quantile_bounds(np.arange(count), separate(count), share, ALPHA)
        assert (-inf < found.low and found.high < inf) is bounded


def test_a_quantile_of_what_is_alike_in_its_cluster_is_that_of_the_clusters() -> None:
    values = np.arange(40.0)
    once = quantile_bounds(values, separate(40), 0.5, ALPHA)
    again = quantile_bounds(np.repeat(values, 3), [str(number // 3) for number in range(120)], 0.5, ALPHA)
    assert again == once


def test_the_ratio_of_a_runner_to_itself_holds_1_and_scales() -> None:
    times = np.exp(np.random.default_rng(0).normal(size=500))
    same = quantile_ratio_bounds(times, times, separate(500), 0.99, ALPHA)
    double = quantile_ratio_bounds(2 * times, times, separate(500), 0.99, ALPHA)
    assert same.low < 1 < same.high
    assert [double.low, double.high] == pytest.approx([2 * same.low, 2 * same.high])


def test_a_ratio_with_an_unknown_side_is_open_on_that_side() -> None:
    times = np.arange(1.0, 101)
    assert quantile_ratio_bounds(times, times, separate(100), 0.99, ALPHA) == Interval(0, inf)


def test_differences_take_the_ends_that_count() -> None:
    found = difference_bounds(5, Interval(1, 8), 2, Interval(1.5, 6))
    assert found == Interval(3 - 32**0.5, 3 + 9.25**0.5)
    assert difference_bounds(5, Interval(1, inf), 2, Interval(-inf, 6)) == Interval(3 - 32**0.5, inf)


def test_certain_ends_leave_the_other_runs_spread() -> None:
    assert difference_bounds(log(2), Interval(0, 1), 0, Interval(0, 0)) == Interval(0, 1)
