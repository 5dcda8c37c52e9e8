from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.statistics.clusters import PRIOR_CLUSTERS, Sample

differences = st.lists(st.tuples(st.sampled_from([-1.0, 0.0, 1.0]), st.sampled_from("abcdef")), min_size=1, max_size=30)


def sample(pairs: list[tuple[float, str]]) -> Sample:
    return Sample.of([value for value, _ in pairs], [cluster for _, cluster in pairs])


def test_requests_of_a_cluster_stand_side_by_side() -> None:
    found = Sample.of([1.0, 2.0, 3.0, 4.0], ["b", "a", "b", "a"])
    assert found.values.tolist() == [2, 4, 1, 3]
    assert found.starts.tolist() == [0, 2]
    assert (found.requests, found.clusters) == (4, 2)


def test_each_value_needs_a_cluster() -> None:
    with pytest.raises(ValueError, match="2 values but 1 clusters"):
        Sample.of([1.0, 0.0], ["a"])


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=30))
def test_separate_requests_count_fully(values: list[float]) -> None:
    found = Sample.of(values, [str(number) for number in range(len(values))])
    assert found.effective_size() == pytest.approx(len(values))


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=10), st.integers(1, 5))
def test_requests_that_are_all_alike_in_their_cluster_count_as_one(values: list[float], copies: int) -> None:
    found = sample([(value, str(number)) for number, value in enumerate(values) for _ in range(copies)])
    assert found.effective_size() == pytest.approx(len(values))


def test_few_large_clusters_are_worth_less_than_many_equal_ones() -> None:
    even, uneven = (sample([(0.0, name) for name in names]) for names in ("aaabbbccc", "aaaaaaabc"))
    assert even.fewest == pytest.approx(3)
    assert uneven.fewest == pytest.approx(9**2 / (7**2 + 1 + 1)) == uneven.effective_size()


def test_without_a_difference_requests_are_not_taken_for_separate() -> None:
    assert sample([(0.0, "abc"[number % 3]) for number in range(12)]).effective_size() == pytest.approx(3)


@given(differences)
def test_requests_never_count_for_more_than_separate_ones(pairs: list[tuple[float, str]]) -> None:
    assert 0 < sample(pairs).effective_size() <= len(pairs) + 1e-9


def test_the_more_clusters_flip_separately_the_more_requests_are_taken_for_separate() -> None:
    sizes = []
    for flips in (0, 4, 100):
        flipped = range(0, 8 * flips, 8)
        sizes.append(
            float(sample([(float(number in flipped), str(number // 8)) for number in range(800)]).effective_size())
        )
    worst, observed = 8, 1
    known = (PRIOR_CLUSTERS + 4) / (PRIOR_CLUSTERS * worst + 4 * observed)
    assert sizes == pytest.approx([100, 800 * known, 800], rel=0.35)
    assert sizes[1] == pytest.approx(800 * known, rel=0.02)


def test_one_cluster_that_flips_outweighs_scattered_flips() -> None:
    scattered = [(float(number % 50 == 0), str(number // 8)) for number in range(800)]
    with_one = [(1.0, "0")] * 8 + scattered[8:]
    assert sample(with_one).effective_size() < sample(scattered).effective_size() / 2
