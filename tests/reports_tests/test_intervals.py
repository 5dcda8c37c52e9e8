from __future__ import annotations

from functools import partial
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from reports.statistics.intervals import (
    Interval,
    critical_value,
    mean_interval,
    median_interval,
    percentile,
)

ALPHA = 0.05
INTERVALS = (mean_interval, median_interval)

clustered = st.lists(
    st.tuples(st.floats(0, 1, allow_subnormal=False), st.sampled_from("abcdefg")), min_size=1, max_size=30
)


def split(pairs: list[tuple[float, str]]) -> tuple[list[float], list[str]]:
    return [value for value, _ in pairs], [cluster for _, cluster in pairs]


def separate(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def ends(interval: Interval | None) -> list[float]:
    assert interval is not None
    return [interval.low, interval.high]


def test_percentiles_interpolate() -> None:
    assert percentile([1, 2, 3, 4], 50) == 2.5
    assert percentile([7.0], 99) == 7.0


def test_nothing_has_no_percentile() -> None:
    assert percentile([], 50) is None


def test_critical_values_are_those_of_the_normal_distribution() -> None:
    assert critical_value(0.05) == pytest.approx(1.959964)


@pytest.mark.parametrize("values", [[], [1.0], [0.0, 1.0, 1.0]])
@pytest.mark.parametrize("interval", INTERVALS)
def test_one_cluster_tells_no_uncertainty(interval: partial[Interval], values: list[float]) -> None:
    assert interval(values, ["same"] * len(values), ALPHA) is None


@pytest.mark.parametrize("correct", [0, 1, 5, 12])
def test_separate_scores_have_wilsons_interval(correct: int) -> None:
    expected = binomtest(correct, 12).proportion_ci(method="wilson")
    found = mean_interval([1.0] * correct + [0.0] * (12 - correct), separate(12), ALPHA)
    assert ends(found) == pytest.approx([expected.low, expected.high])


def test_equal_scores_in_few_clusters_tell_less_than_in_many() -> None:
    few = mean_interval([1.0] * 12, [str(number % 3) for number in range(12)], ALPHA)
    many = mean_interval([1.0] * 12, separate(12), ALPHA)
    assert ends(few)[0] < ends(many)[0] < 1
    assert ends(few)[1] == ends(many)[1] == 1


@given(clustered)
@settings(deadline=None, max_examples=40)
def test_mean_interval_holds_the_mean_and_stays_within_bounds(pairs: list[tuple[float, str]]) -> None:
    values, clusters = split(pairs)
    interval = mean_interval(values, clusters, ALPHA)
    assert (interval is None) == (len(set(clusters)) == 1)
    if interval is not None:
        assert 0 <= interval.low <= np.mean(values) + 1e-9
        assert np.mean(values) - 1e-9 <= interval.high <= 1


@given(clustered, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=40)
def test_order_of_requests_does_not_matter(pairs: list[tuple[float, str]], random: np.random.Generator) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)
    for interval in INTERVALS:
        assert close(interval(*split(pairs), ALPHA), interval(*split(shuffled), ALPHA))


@given(clustered)
@settings(deadline=None, max_examples=40)
def test_more_confidence_takes_a_wider_interval(pairs: list[tuple[float, str]]) -> None:
    for interval in INTERVALS:
        sure, less_sure = (interval(*split(pairs), alpha) for alpha in (0.05, 0.3))
        if sure is not None and less_sure is not None:
            assert sure.low <= less_sure.low <= less_sure.high <= sure.high


def test_values_that_agree_within_clusters_widen_the_interval() -> None:
    clusters = [str(number // 8) for number in range(240)]
    alike = [float(number // 8 % 2) for number in range(240)]
    mixed = [float(number % 2) for number in range(239)] + [0.0]
    wide, narrow = (ends(mean_interval(values, clusters, ALPHA)) for values in (alike, mixed))
    assert wide[1] - wide[0] > 1.3 * (narrow[1] - narrow[0])


@pytest.mark.parametrize("count", [6, 10, 61, 200])
def test_median_interval_is_that_of_the_sign_test(count: int) -> None:
    interval = median_interval(np.arange(count), separate(count), ALPHA)
    rejected = sum(count / 2 - below > critical_value(ALPHA) * sqrt(count) / 2 for below in range(count))
    assert ends(interval) == [rejected - 1, count - rejected]


def test_too_few_values_tell_nothing_of_the_median() -> None:
    assert median_interval([4.0, 5.0, 6.0], separate(3), ALPHA) is None
    assert ends(median_interval([4.0, 5.0, 6.0], separate(3), 0.3)) == [4, 6]


@given(clustered)
@settings(deadline=None, max_examples=40)
def test_median_interval_holds_the_median_and_stays_within_the_values(pairs: list[tuple[float, str]]) -> None:
    values, clusters = split(pairs)
    interval = median_interval(values, clusters, ALPHA)
    if interval is not None:
        assert min(values) <= interval.low <= np.median(values) <= interval.high <= max(values)


def close(one: Interval | None, other: Interval | None) -> bool:
    if one is None or other is None:
        return one is other
    return [one.low, one.high] == pytest.approx([other.low, other.high])
