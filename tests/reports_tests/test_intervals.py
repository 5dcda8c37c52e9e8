from __future__ import annotations

from functools import partial
from math import inf, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import binomtest, norm

from reports.statistics.intervals import (
    Interval,
    critical_value,
    difference_interval,
    mean_interval,
    median_interval,
    percentile,
)

ALPHA = 0.05
INTERVALS = (mean_interval, difference_interval, median_interval)

clustered = st.lists(
    st.tuples(st.floats(0, 1, allow_subnormal=False), st.sampled_from("abcdefg")), min_size=1, max_size=30
)
compared = st.lists(
    st.tuples(st.floats(-1, 1, allow_subnormal=False) | st.sampled_from([-1.0, 0.0, 1.0]), st.sampled_from("abcdefg")),
    min_size=1,
    max_size=30,
)
flips = st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 60))


def split(pairs: list[tuple[float, str]]) -> tuple[list[float], list[str]]:
    return [value for value, _ in pairs], [cluster for _, cluster in pairs]


def separate(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def of_flips(gained: int, lost: int, same: int, alpha: float = ALPHA) -> Interval:
    interval = difference_interval([1.0] * gained + [-1.0] * lost + [0.0] * same, separate(gained + lost + same), alpha)
    assert interval is not None
    return interval


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


@pytest.mark.parametrize(
    ("gained", "lost", "same", "expected"),
    [(1, 7, 13, [-0.517, -0.026]), (6, 16, 139, [-0.1240, -0.0054])],
    ids=["airway hyper-responsiveness", "complete response"],
)
def test_separate_flips_have_the_published_interval(gained: int, lost: int, same: int, expected: list[float]) -> None:
    """Fagerland, Lydersen, Laake: Statistical Analysis of Contingency Tables (2017), chapter 8, Tango's interval."""
    assert ends(of_flips(gained, lost, same)) == pytest.approx(expected, abs=5e-4)


@given(flips, st.sampled_from([0.2, 0.05, 0.01]))
@settings(deadline=None, max_examples=25)
def test_separate_flips_have_the_interval_that_the_score_test_does_not_reject(
    counts: tuple[int, int, int], alpha: float
) -> None:
    gained, lost, same = counts
    total = gained + lost + same
    seen = (gained - lost) / total

    def far(difference: float) -> float:
        """How much further off than allowed, by the likelihood of all three outcomes, numerically maximised."""

        def unlikely(lose: float) -> float:
            outcomes = ((gained, lose + difference), (lost, lose), (same, 1 - 2 * lose - difference))
            return -sum(count * np.log(chance) if chance > 0 else -inf for count, chance in outcomes if count)

        low, high = max(0.0, -difference), (1 - difference) / 2
        lose = minimize_scalar(unlikely, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x
        variance = (2 * lose + difference - difference**2) / total
        return float(abs(seen - difference) / sqrt(variance) - norm.isf(alpha / 2))

    if total < 2:
        return
    found = of_flips(gained, lost, same, alpha)
    for end, limit in ((found.low, -1 + 1e-9), (found.high, 1 - 1e-9)):
        if abs(end) < 1 - 1e-6:
            assert brentq(far, seen, limit, xtol=1e-9) == pytest.approx(end, abs=2e-5)


@pytest.mark.parametrize("clusters", [2, 8, 189])
def test_without_flips_the_interval_is_as_wide_as_the_clusters_are_few(clusters: int) -> None:
    square = critical_value(ALPHA) ** 2
    reach = square / (clusters + square)
    requests = 3 * clusters
    found = difference_interval([0.0] * requests, [str(number % clusters) for number in range(requests)], ALPHA)
    assert ends(found) == pytest.approx([-reach, reach])


@given(compared)
@settings(deadline=None, max_examples=60)
def test_difference_interval_holds_the_mean_and_stays_within_bounds(pairs: list[tuple[float, str]]) -> None:
    values, clusters = split(pairs)
    interval = difference_interval(values, clusters, ALPHA)
    assert (interval is None) == (len(set(clusters)) == 1)
    if interval is not None:
        assert -1 <= interval.low <= np.mean(values) + 1e-9
        assert np.mean(values) - 1e-9 <= interval.high <= 1


@given(clustered)
@settings(deadline=None, max_examples=40)
def test_mean_interval_holds_the_mean_and_stays_within_bounds(pairs: list[tuple[float, str]]) -> None:
    values, clusters = split(pairs)
    interval = mean_interval(values, clusters, ALPHA)
    assert (interval is None) == (len(set(clusters)) == 1)
    if interval is not None:
        assert 0 <= interval.low <= np.mean(values) + 1e-9
        assert np.mean(values) - 1e-9 <= interval.high <= 1


@given(compared)
@settings(deadline=None, max_examples=40)
def test_difference_seen_from_the_other_side_is_the_mirror_image(pairs: list[tuple[float, str]]) -> None:
    values, clusters = split(pairs)
    there = difference_interval(values, clusters, ALPHA)
    back = difference_interval([-value for value in values], clusters, ALPHA)
    assert close(there, None if back is None else Interval(-back.high, -back.low))


@given(compared, st.integers(2, 4))
@settings(deadline=None, max_examples=40)
def test_the_same_seen_in_more_clusters_is_known_better(pairs: list[tuple[float, str]], copies: int) -> None:
    values, clusters = split(pairs)
    once = difference_interval(values, clusters, ALPHA)
    again = difference_interval(
        values * copies, [f"{cluster}{copy}" for copy in range(copies) for cluster in clusters], ALPHA
    )
    if once is not None and again is not None:
        assert again.high - again.low < once.high - once.low


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
    for interval in INTERVALS[:2]:
        wide, narrow = (ends(interval(values, clusters, ALPHA)) for values in (alike, mixed))
        assert wide[1] - wide[0] > 1.3 * (narrow[1] - narrow[0])


def test_part_of_a_score_is_no_less_certain_than_as_many_whole_ones() -> None:
    graded = difference_interval([-0.2] * 20 + [0.0] * 180, separate(200), ALPHA)
    whole = of_flips(0, 4, 196)
    assert whole.low < ends(graded)[0] < -0.02 < ends(graded)[1] < whole.high


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
