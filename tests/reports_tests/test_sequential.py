from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.statistics.changes import Changes
from reports.statistics.intervals import UNKNOWN
from reports.statistics.sequential import SequentialChanges
from reports.statistics.verdict import verdict_on

ALPHA, MARGIN, SETS = 0.05, 0.02, 300


@pytest.fixture(scope="module")
def script(script_of: Callable[[str], ModuleType]) -> ModuleType:
    """The script that simulates thousands of runs."""
    return script_of("sequential_error_rates")


def of(values: list[float]) -> SequentialChanges:
    return SequentialChanges.in_order(values, [str(place) for place in range(len(values))])


@pytest.mark.parametrize("gained", [0.0, 0.05])
def test_who_loses_the_margin_is_seldom_decided_however_often_one_looks(script: ModuleType, gained: float) -> None:
    rng = np.random.default_rng(0)
    truth = script.Truth(gained, gained + MARGIN)
    found = [script.first_decision(script.draw(truth, 1000, rng), MARGIN, ALPHA) for _ in range(SETS)]
    noise = 3 * np.sqrt(ALPHA * (1 - ALPHA) / SETS)
    for side in (0, 1):
        assert np.mean([decided[side] is not None for decided in found]) <= ALPHA + noise


def test_without_a_flip_it_takes_a_fourth_more_than_the_fixed_number() -> None:
    assert verdict_on(of([0.0] * 184), MARGIN, ALPHA) == "undecided"
    assert verdict_on(of([0.0] * 185), MARGIN, ALPHA) == "non-inferior"


def test_who_loses_half_is_decided_after_a_handful() -> None:
    assert verdict_on(of([-1.0, 0.0] * 8), MARGIN, ALPHA) == "inferior"


def test_bounds_are_wider_than_those_of_a_fixed_number_and_never_grow() -> None:
    values = [-1.0, *[0.0] * 30, 1.0, *[0.0] * 60]
    fixed = Changes.of(values, [str(place) for place in range(len(values))]).bounds(ALPHA)
    before, after = of(values[:60]).bounds(ALPHA), of(values).bounds(ALPHA)
    assert before.low <= after.low <= fixed.low < 0 < fixed.high <= after.high <= before.high


def test_what_was_once_decided_stays_decided() -> None:
    assert of([0.0] * 200 + [-1.0] * 50).bounds(ALPHA).low > -MARGIN


def test_one_request_of_every_cluster_counts() -> None:
    alike = SequentialChanges.in_order([0.0, -1.0, 0.0, -1.0], ["a", "a", "b", "b"])
    assert alike.observations == (0.0, 0.0)
    assert (alike.requests, alike.clusters, alike.lost, alike.worth(ALPHA)) == (4, 2, 0.5, 2)
    assert of([0.0]).bounds(ALPHA) == UNKNOWN


def test_seen_from_the_other_side_it_is_the_mirror_image() -> None:
    there, back = of([-1.0, 0.0, 0.5] * 9), of([1.0, 0.0, -0.5] * 9)
    assert there.mirrored().bounds(ALPHA) == back.bounds(ALPHA)
    assert there.bounds(ALPHA).low == pytest.approx(-back.bounds(ALPHA).high)


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=2, max_size=40), st.floats(-0.9, 0.9))
@settings(max_examples=30, deadline=None)
def test_one_bet_tells_which_side_of_a_change_the_end_lies(values: list[float], change: float) -> None:
    seen = SequentialChanges.in_order(values, [str(place) for place in range(len(values))])
    ends = seen.bounds(0.05)
    if min(abs(ends.low - change), abs(ends.high - change)) > 1e-9:
        assert seen.exceed(change, 0.05) is (ends.low > change)
        assert seen.mirrored().exceed(-change, 0.05) is (ends.high < change)
