"""Intervals under load: exact where requests are separate, and as wide as neighbours that are alike make them."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from reports.statistics.clusters import Floats
from reports.statistics.serial import percentile_interval, serial_share_interval, serial_size

ALPHA = 0.05


def names(count: int) -> list[str]:
    return [str(place) for place in range(count)]


@pytest.mark.parametrize(("count", "rank"), [(20, 50), (100, 90), (500, 99), (40, 90)])
def test_of_separate_requests_the_ends_are_the_closest_that_may_be_wrong_so_rarely(
    monkeypatch: pytest.MonkeyPatch, count: int, rank: float
) -> None:
    monkeypatch.setattr("reports.statistics.serial._size", lambda flags, clusters: len(flags))
    values = np.random.default_rng(0).permutation(np.arange(1.0, count + 1))
    found = percentile_interval(values, rank, names(count), ALPHA)
    assert found is not None
    below = binom(count, rank / 100)
    low, high = int(found.low), count + 1 if found.high == inf else int(found.high)
    assert below.cdf(low - 1) <= ALPHA / 2 < below.cdf(low)
    assert below.sf(high - 1) <= ALPHA / 2
    assert high == count + 1 or below.sf(high - 2) > ALPHA / 2


def test_of_few_requests_a_high_percentile_has_no_upper_end() -> None:
    values = np.random.default_rng(0).exponential(size=100)
    found = percentile_interval(values, 99, names(100), ALPHA)
    assert found is not None
    assert np.median(values) < found.low < found.high == inf
    assert percentile_interval(values[:1], 50, names(1), ALPHA) is None
    assert serial_share_interval([1.0], names(1), ALPHA) is None


def test_requests_count_once_where_each_is_repeated() -> None:
    flags = np.random.default_rng(1).integers(0, 2, 2000).astype(np.float64)
    assert serial_size(flags) == pytest.approx(2000, rel=0.15)
    assert serial_size(np.repeat(flags, 10)) == pytest.approx(2000, rel=0.15)
    once = serial_share_interval(flags, names(2000), ALPHA)
    ten = serial_share_interval(np.repeat(flags, 10), names(20_000), ALPHA)
    assert once is not None
    assert ten is not None
    assert (ten.low, ten.high) == pytest.approx((once.low, once.high), abs=0.005)


@given(flags=st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=60), rank=st.sampled_from([50, 90, 99]))
def test_ends_hold_the_percentile_and_no_more_requests_count_than_there_are(flags: list[float], rank: float) -> None:
    values = np.cumsum(flags)
    assert 0 < serial_size(np.array(flags)) <= len(flags)
    found = percentile_interval(values, rank, names(len(flags)), ALPHA)
    assert found is not None
    assert found.low <= np.percentile(values, rank, method="inverted_cdf") <= found.high
    share = serial_share_interval(flags, names(len(flags)), ALPHA)
    assert share is not None
    assert 0 <= share.low <= np.mean(flags) <= share.high + 1e-12 <= 1 + 1e-12


def queue(count: int, load: float, seed: int) -> Floats:
    """Times in a settled queue before one server whose answers take 1 in the mean (M/M/1)."""
    draw = np.random.default_rng(seed)
    gaps, takes = draw.exponential(1 / load, count + 300), draw.exponential(1.0, count + 300)
    waits, wait = [], 0.0
    for gap, take in zip(gaps, takes, strict=True):
        wait = max(0.0, wait - gap) + take
        waits.append(wait)
    return np.array(waits[300:])


def test_of_a_queue_the_median_lies_between_the_ends_as_often_as_is_said() -> None:
    load, runs, truth = 0.6, 60, np.log(2) / (1 - 0.6)
    found = [percentile_interval(queue(600, load, seed), 50, names(600), ALPHA) for seed in range(runs)]
    assert sum(ends is not None and ends.low <= truth <= ends.high for ends in found) >= 0.88 * runs
