from __future__ import annotations

from math import inf, log

import numpy as np
import pytest
from scipy.stats import binomtest

from reports.statistics.bounds import (
    difference_bounds,
    quantile_bounds,
    quantile_ratio_bounds,
    requests_to_bound_quantile,
)
from reports.statistics.intervals import UNKNOWN, Interval

ALPHA = 0.05


def separate(count: int) -> list[str]:
    return [str(number) for number in range(count)]


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
