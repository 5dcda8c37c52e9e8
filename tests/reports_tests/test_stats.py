from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from reports.stats import Interval, _weighted_medians, mean_interval, median_interval, percentile

SCORES = (0.0, 1.0)
DELTAS = (-1.0, 1.0)

clustered = st.lists(
    st.tuples(st.floats(0, 1, allow_subnormal=False), st.sampled_from("abcdefg")), min_size=1, max_size=30
)


def split(pairs: list[tuple[float, str]]) -> tuple[list[float], list[str]]:
    return [value for value, _ in pairs], [cluster for _, cluster in pairs]


def test_percentiles_interpolate() -> None:
    assert percentile([1, 2, 3, 4], 50) == 2.5
    assert percentile([7.0], 99) == 7.0


def test_nothing_has_no_percentile() -> None:
    assert percentile([], 50) is None


@pytest.mark.parametrize("values", [[], [1.0], [0.0, 1.0, 1.0]])
def test_one_cluster_tells_no_uncertainty(values: list[float]) -> None:
    clusters = ["same"] * len(values)
    assert mean_interval(values, clusters, SCORES, seed=0) is None
    assert median_interval(values, clusters, seed=0) is None


@pytest.mark.parametrize(("score", "correct"), [(1.0, 12), (0.0, 0)])
def test_equal_scores_give_wilsons_interval(score: float, correct: int) -> None:
    interval = mean_interval([score] * 12, [str(i) for i in range(12)], SCORES, seed=0)
    expected = binomtest(correct, 12).proportion_ci(method="wilson")
    assert interval is not None
    assert interval.low == pytest.approx(expected.low)
    assert interval.high == pytest.approx(expected.high)


def test_equal_scores_in_few_clusters_tell_less_than_in_many() -> None:
    many = mean_interval([1.0] * 12, [str(i) for i in range(12)], SCORES, seed=0)
    few = mean_interval([1.0] * 12, [str(i % 3) for i in range(12)], SCORES, seed=0)
    assert many is not None
    assert few is not None
    assert few.low < many.low < few.high == many.high == 1


def test_no_difference_at_all_is_still_uncertain_on_both_sides() -> None:
    interval = mean_interval([0.0] * 10, [str(i) for i in range(10)], DELTAS, seed=0)
    assert interval is not None
    assert interval.low == pytest.approx(-interval.high)
    assert 0.2 < interval.high < 0.4


@given(clustered)
@settings(deadline=None, max_examples=40)
def test_mean_interval_stays_within_bounds_and_in_order(pairs: list[tuple[float, str]]) -> None:
    values, clusters = split(pairs)
    interval = mean_interval(values, clusters, SCORES, seed=1)
    assert (interval is None) == (len(set(clusters)) == 1)
    if interval is not None:
        assert -1e-9 <= interval.low <= interval.high <= 1 + 1e-9


@given(clustered, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=40)
def test_order_of_requests_does_not_matter(pairs: list[tuple[float, str]], random: np.random.Generator) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)
    one = mean_interval(*split(pairs), SCORES, seed=2)
    other = mean_interval(*split(shuffled), SCORES, seed=2)
    assert close(one, other)
    assert close(median_interval(*split(pairs), seed=2), median_interval(*split(shuffled), seed=2))


@given(clustered)
@settings(deadline=None, max_examples=40)
def test_difference_seen_from_the_other_side_is_the_mirror_image(pairs: list[tuple[float, str]]) -> None:
    values, clusters = split(pairs)
    there = mean_interval(values, clusters, DELTAS, seed=3)
    back = mean_interval([-value for value in values], clusters, DELTAS, seed=3)
    assert close(there, None if back is None else Interval(-back.high, -back.low))


@given(clustered)
@settings(deadline=None, max_examples=40)
def test_median_interval_stays_within_the_values(pairs: list[tuple[float, str]]) -> None:
    values, clusters = split(pairs)
    interval = median_interval(values, clusters, seed=4)
    if interval is not None:
        assert min(values) <= interval.low <= interval.high <= max(values)


@given(st.lists(st.tuples(st.floats(-9, 9), st.integers(0, 4)), min_size=1, max_size=12))
def test_weighted_median_is_the_median_of_the_repeated_sample(pairs: list[tuple[float, int]]) -> None:
    pairs = sorted(pairs)
    values = np.array([value for value, _ in pairs])
    weights = np.array([weight for _, weight in pairs])
    if weights.sum() == 0:
        return
    found = _weighted_medians(values, weights[None])
    assert found[0] == pytest.approx(np.median(np.repeat(values, weights)))


def test_same_seed_same_interval_other_seed_other_interval() -> None:
    rng = np.random.default_rng(0)
    values, clusters = rng.random(40), [str(i // 4) for i in range(40)]
    assert median_interval(values, clusters, seed=5) == median_interval(values, clusters, seed=5)
    assert mean_interval(values, clusters, SCORES, seed=5) != mean_interval(values, clusters, SCORES, seed=6)


def test_values_that_agree_within_clusters_widen_the_interval() -> None:
    clusters = [str(i // 8) for i in range(64)]
    alike = [float(i // 8 % 2) for i in range(64)]
    mixed = [float(i % 2) for i in range(63)] + [0.0]
    wide, narrow = (mean_interval(values, clusters, SCORES, seed=0) for values in (alike, mixed))
    assert wide is not None
    assert narrow is not None
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        chances = np.repeat(rng.beta(6, 2, size=40), 4)
        scores = (rng.random(160) < chances).astype(float)
        interval = mean_interval(scores, [str(i // 4) for i in range(160)], SCORES, seed=trial)
        assert interval is not None
        covered += interval.low <= 0.75 <= interval.high
    assert 180 <= covered <= 198


def test_a_large_sample_is_resampled_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    values, clusters = np.random.default_rng(0).random(60), [str(i // 3) for i in range(60)]
    whole = median_interval(values, clusters, seed=0)
    monkeypatch.setattr("reports.stats.BLOCK_ELEMENTS", 60 * 700)
    assert median_interval(values, clusters, seed=0) == whole


def test_each_value_needs_a_cluster() -> None:
    with pytest.raises(ValueError, match="2 values but 1 clusters"):
        mean_interval([1.0, 0.0], ["a"], SCORES, seed=0)


def close(one: Interval | None, other: Interval | None) -> bool:
    if one is None or other is None:
        return one is other
    return [one.low, one.high] == pytest.approx([other.low, other.high])
