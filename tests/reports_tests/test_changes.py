from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binomtest

from reports.statistics.changes import Changes
from reports.statistics.intervals import UNKNOWN, Interval
from reports.statistics.tail import chance_negative

ALPHA = 0.05

compared = st.lists(
    st.tuples(st.floats(-1, 1, allow_subnormal=False) | st.sampled_from([-1.0, 0.0, 1.0]), st.sampled_from("abcdefg")),
    min_size=1,
    max_size=30,
)


def separate(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def of_flips(gained: int, lost: int, same: int) -> Changes:
    return Changes.of([1.0] * gained + [-1.0] * lost + [0.0] * same, separate(gained + lost + same))


def split(pairs: list[tuple[float, str]]) -> tuple[list[float], list[str]]:
    return [value for value, _ in pairs], [cluster for _, cluster in pairs]


@pytest.mark.parametrize(("lost", "total"), [(0, 50), (1, 50), (6, 300), (49, 50)])
def test_losses_alone_are_bounded_by_clopper_and_pearson(lost: int, total: int) -> None:
    exact = binomtest(lost, total).proportion_ci(1 - 2 * ALPHA, method="exact")
    assert of_flips(0, lost, total - lost).bounds(ALPHA).low == pytest.approx(-exact.high, abs=1e-6)


@pytest.mark.parametrize("clusters", [3, 149, 299])
def test_without_a_flip_the_number_of_clusters_is_the_bound(clusters: int) -> None:
    found = Changes.of([0.0] * 2 * clusters, [str(number % clusters) for number in range(2 * clusters)]).bounds(ALPHA)
    assert [found.low, found.high] == pytest.approx(
        [ALPHA ** (1 / clusters) - 1, 1 - ALPHA ** (1 / clusters)], rel=1e-5
    )


def test_uneven_clusters_are_hardly_worth_less_than_as_many_even_ones() -> None:
    sizes = np.ceil(600 / np.arange(1, 601)).astype(int)
    changes = Changes.of(np.zeros(sizes.sum()), np.repeat(np.arange(600).astype(str), sizes).tolist())
    assert 0.005 < -changes.bounds(ALPHA).low < 0.0054
    assert 550 < changes.worth(ALPHA) < 600


def test_one_cluster_bounds_nothing() -> None:
    for values in ([], [0.0], [0.0, -1.0]):
        changes = Changes.of(values, ["one"] * len(values))
        assert changes.bounds(ALPHA) == UNKNOWN == Interval(-inf, inf)
        assert changes.interval(ALPHA) is None
        assert changes.worth(ALPHA) == min(1, len(values))


@given(compared)
@settings(max_examples=20, deadline=None)
def test_bounds_hold_the_mean_and_stay_within_what_can_be(pairs: list[tuple[float, str]]) -> None:
    values, clusters = split(pairs)
    changes = Changes.of(values, clusters)
    assert changes.mean == pytest.approx(np.mean(values), abs=1e-9)
    assert (changes.requests, changes.clusters) == (len(values), len(set(clusters)))
    if changes.clusters > 1:
        found, wider = changes.bounds(ALPHA), changes.bounds(ALPHA / 10)
        assert -1 <= wider.low <= found.low + 1e-9
        assert found.low <= np.mean(values) + 1e-9
        assert np.mean(values) - 1e-9 <= found.high <= wider.high + 1e-9 <= 1 + 1e-9
        assert 0 < changes.worth(ALPHA) <= len(values)


@given(compared)
@settings(max_examples=10, deadline=None)
def test_seen_from_the_other_side_it_is_the_mirror_image(pairs: list[tuple[float, str]]) -> None:
    values, clusters = split(pairs)
    there, back = (Changes.of([sign * value for value in values], clusters).bounds(ALPHA) for sign in (1, -1))
    assert [there.low, there.high] == pytest.approx([-back.high, -back.low], abs=1e-9)


@given(compared, st.randoms(use_true_random=False))
@settings(max_examples=10, deadline=None)
def test_the_order_of_requests_does_not_matter(pairs: list[tuple[float, str]], random: np.random.Generator) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)
    there, back = (Changes.of(*split(either)).bounds(ALPHA) for either in (pairs, shuffled))
    assert [there.low, there.high] == pytest.approx([back.low, back.high], abs=1e-9)


@given(compared, st.integers(2, 4))
@settings(max_examples=10, deadline=None)
def test_the_same_seen_in_more_clusters_is_known_better(pairs: list[tuple[float, str]], copies: int) -> None:
    values, clusters = split(pairs)
    once, again = (
        Changes.of(values * number, [f"{cluster}{copy}" for copy in range(number) for cluster in clusters]).bounds(
            ALPHA
        )
        for number in (1, copies)
    )
    if once != UNKNOWN:
        assert again.high - again.low < once.high - once.low


def test_values_that_agree_within_clusters_are_worth_less() -> None:
    clusters = [str(number // 8) for number in range(240)]
    alike, mixed = ([float(number // size % 2) for number in range(240)] for size in (8, 1))
    wide, narrow = (Changes.of(values, clusters).bounds(ALPHA) for values in (alike, mixed))
    assert wide.high - wide.low > 1.9 * (narrow.high - narrow.low)


def test_part_of_a_score_is_no_less_certain_than_as_many_whole_ones() -> None:
    graded = Changes.of([-0.2] * 20 + [0.0] * 180, separate(200)).bounds(ALPHA)
    whole = of_flips(0, 4, 196).bounds(ALPHA)
    assert whole.low < graded.low < -0.02 < graded.high < whole.high


def test_separate_requests_are_worth_themselves() -> None:
    for changes in (of_flips(0, 0, 60), of_flips(3, 5, 92), of_flips(0, 7, 13)):
        assert changes.worth(ALPHA) == pytest.approx(changes.requests, rel=1e-4)


def test_fifty_points_are_seen_lost_after_a_handful() -> None:
    assert of_flips(0, 5, 5).bounds(ALPHA).high < -0.02
    assert of_flips(0, 16, 0).bounds(ALPHA).high < -0.6


@pytest.mark.parametrize(("losses", "total"), [(0, 2), (1, 10), (3, 149), (0, 1000), (40, 900)])
def test_the_chance_of_a_sum_below_0_is_that_of_the_beta_distribution(losses: int, total: int) -> None:
    found = chance_negative((-0.98, 0.02), (losses + 1, total - losses))
    assert float(found) == pytest.approx(beta.sf(0.02, losses + 1, total - losses), rel=1e-3)


def test_chances_of_three_terms_are_those_of_drawn_sums() -> None:
    weights, shapes = np.array([-0.98, 0.02, 1.02]), np.array([4.0, 90.0, 3.0])
    drawn = np.random.default_rng(0).gamma(shapes, size=(200_000, 3)) @ weights
    assert float(chance_negative(weights, shapes)) == pytest.approx(np.mean(drawn < 0), abs=0.004)
    assert float(chance_negative(-weights, shapes)) == pytest.approx(np.mean(drawn > 0), abs=0.004)


def test_what_cannot_be_negative_never_is() -> None:
    assert chance_negative([[0.0, 1.0], [-1.0, 0.0]], [2.0, 3.0]).tolist() == [0.0, 1.0]
