from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, permutation_test

from reports.statistics.permutation import MOST_ENUMERATED, Alternative, sign_flip_test

paired = st.lists(st.tuples(st.sampled_from([-1.0, 0.0, 1.0]), st.sampled_from("abcdef")), min_size=1, max_size=30)


def separate(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def split(pairs: list[tuple[float, str]]) -> tuple[list[float], list[str]]:
    return [value for value, _ in pairs], [cluster for _, cluster in pairs]


@pytest.mark.parametrize(("won", "lost"), [(0, 5), (1, 9), (4, 4), (3, 10)])
def test_of_equal_flips_it_is_the_sign_test(won: int, lost: int) -> None:
    values = [1.0] * won + [-1.0] * lost + [0.0] * 20
    found = sign_flip_test(values, separate(len(values)))
    assert found == pytest.approx(binomtest(won, won + lost).pvalue)


def test_it_is_the_paired_permutation_test() -> None:
    values = np.random.default_rng(0).normal(0.3, 1, 11)
    for alternative in ("greater", "less"):
        expected = permutation_test(
            (values, np.zeros(11)),
            lambda left, right: np.mean(left - right),
            permutation_type="samples",
            alternative=alternative,
        )
        found = sign_flip_test(values, separate(11), alternative)
        assert found == pytest.approx(expected.pvalue)


@pytest.mark.parametrize("alternative", ["different", "greater", "less"])
def test_it_counts_the_signings_that_lie_as_far(alternative: Alternative) -> None:
    """Scores in parts, and clusters of several requests: sums that are equal but for rounding count as equal."""
    rng = np.random.default_rng(4)
    for _ in range(20):
        values, clusters = rng.choice([-1.0, -1 / 3, 0.0, 0.1, 0.2, 1.0], 18), rng.choice(list("abcdefgh"), 18)
        totals = [values[clusters == name].sum() for name in "abcdefgh"]
        sums = np.asarray(list(product((1, -1), repeat=8))) @ totals
        seen, measure = values.sum(), {"different": np.abs, "greater": np.positive, "less": np.negative}[alternative]
        expected = float(np.mean(measure(sums) >= measure(seen) - 1e-9))
        assert sign_flip_test(values, clusters.tolist(), alternative) == pytest.approx(expected, abs=1e-12)


def test_many_clusters_are_drawn_and_come_near_the_exact_chance() -> None:
    values = [1.0] * 20 + [-1.0] * 8
    found = sign_flip_test(values, separate(28))
    assert found == pytest.approx(binomtest(8, 28).pvalue, abs=0.006)
    assert found == sign_flip_test(values, separate(28)), "draws are seeded"
    assert found != sign_flip_test(values, separate(28), seed=1)


def test_a_drawn_chance_is_never_0() -> None:
    assert sign_flip_test([1.0] * 40, separate(40), draws=99) == 1 / 100


def test_what_flips_with_its_cluster_counts_once() -> None:
    alone, together = (sign_flip_test([1.0] * 12, clusters) for clusters in (separate(12), ["a", "b", "c"] * 4))
    assert alone == pytest.approx(2 / 2**12)
    assert together == pytest.approx(2 / 2**3)


def test_where_nothing_differs_nothing_is_told() -> None:
    assert sign_flip_test([0.0] * 9, separate(9)) == 1
    assert sign_flip_test([], []) == 1
    assert sign_flip_test([1.0, -1.0], ["a", "a"]) == 1


@given(paired)
def test_seen_from_the_other_side_it_is_the_same(pairs: list[tuple[float, str]]) -> None:
    values, clusters = split(pairs)
    back = [-value for value in values]
    assert sign_flip_test(values, clusters) == sign_flip_test(back, clusters)
    assert sign_flip_test(values, clusters, "greater") == pytest.approx(sign_flip_test(back, clusters, "less"))


@given(paired)
def test_one_side_or_the_other_lies_as_far(pairs: list[tuple[float, str]]) -> None:
    values, clusters = split(pairs)
    greater, less = (sign_flip_test(values, clusters, side) for side in ("greater", "less"))
    assert 1 <= greater + less <= 2
    assert sign_flip_test(values, clusters) <= min(1.0, 2 * min(greater, less)) + 1e-9


@pytest.mark.parametrize("clusters", [12, MOST_ENUMERATED + 14])
def test_equal_sides_differ_significantly_as_seldom_as_it_says(clusters: int) -> None:
    rng = np.random.default_rng(2)
    names = [str(number // 3) for number in range(3 * clusters)]
    chances = []
    for _ in range(300):
        common = np.repeat(rng.normal(size=clusters), 3)
        chances.append(sign_flip_test(common + rng.normal(size=3 * clusters), names, draws=199))
    for level in (0.05, 0.2):
        assert np.mean(np.asarray(chances) <= level) <= level + 3 * np.sqrt(level * (1 - level) / 300)
    assert np.mean(np.asarray(chances) <= 0.5) >= 0.4
