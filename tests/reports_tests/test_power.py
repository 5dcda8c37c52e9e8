from __future__ import annotations

from math import ceil, log

import numpy as np
import pytest

from reports.statistics.bounds import change_ends
from reports.statistics.clusters import Sample
from reports.statistics.power import POWER, Decision, Truth, _beyond, _within, power, requests_to_decide

ALPHA, MARGIN = 0.05, 0.02
WITHIN, BEYOND = Decision.WITHIN, Decision.BEYOND


@pytest.mark.parametrize(("margin", "requests"), [(0.01, 299), (0.02, 149), (0.05, 59)])
def test_with_no_flips_three_over_the_margin_are_needed(margin: float, requests: int) -> None:
    assert requests_to_decide(WITHIN, Truth.unchanged(0), margin, ALPHA) == requests
    assert requests == ceil(log(ALPHA) / log(1 - margin))


def test_the_more_scores_flip_the_more_requests_are_needed() -> None:
    needed = [requests_to_decide(WITHIN, Truth.unchanged(flips), MARGIN, ALPHA) for flips in (0, 0.01, 0.02, 0.1)]
    assert needed == sorted(filter(None, needed))
    assert len(set(needed)) == 4


def test_stricter_tests_need_more() -> None:
    fallen = Truth.fallen(0.05, 0)
    assert (requests_to_decide(BEYOND, fallen, MARGIN, ALPHA) or 0) < (
        requests_to_decide(BEYOND, fallen, MARGIN, ALPHA / 20) or 0
    )


@pytest.mark.parametrize(
    ("decision", "truth"),
    [
        (WITHIN, Truth.fallen(0.05, 0)),
        (BEYOND, Truth.unchanged(0.02)),
        (WITHIN, Truth(0, MARGIN)),
        (BEYOND, Truth(0, MARGIN)),
    ],
)
def test_no_number_shows_what_is_not_so(decision: Decision, truth: Truth) -> None:
    assert requests_to_decide(decision, truth, MARGIN, ALPHA) is None


def test_what_takes_too_many_is_not_promised() -> None:
    assert requests_to_decide(WITHIN, Truth(0.3, 0.3 + MARGIN - 1e-6), MARGIN, ALPHA) is None


@pytest.mark.parametrize("decision", Decision)
@pytest.mark.parametrize("flips", [0.0, 0.02])
def test_power_is_how_often_simulated_runs_are_decided(decision: Decision, flips: float) -> None:
    rng = np.random.default_rng(0)
    truth = Truth.unchanged(flips) if decision is WITHIN else Truth.fallen(0.05, flips)
    for requests in (100, 400):
        draws = rng.random((4000, requests))
        values = (draws < truth.gained).astype(float) - (draws > 1 - truth.lost)
        low, high = change_ends(Sample(values, np.arange(requests)), ALPHA)
        decided = float(np.mean(low > -MARGIN) if decision is WITHIN else np.mean(high < -MARGIN))
        assert power(decision, truth, requests, MARGIN, ALPHA) == pytest.approx(decided, abs=0.025)


@pytest.mark.parametrize("truth", [Truth.fallen(0.05, 0), Truth.fallen(0.05, 0.02), Truth.fallen(0.1, 0.1)])
def test_so_many_have_the_power_and_far_fewer_do_not(truth: Truth) -> None:
    needed = requests_to_decide(BEYOND, truth, MARGIN, ALPHA)
    assert needed is not None
    assert power(BEYOND, truth, needed, MARGIN, ALPHA) >= POWER
    assert power(BEYOND, truth, int(0.85 * needed), MARGIN, ALPHA) < POWER


@pytest.mark.parametrize("alpha", [0.05, 0.002])
def test_counts_are_decided_as_the_bounds_of_their_requests_are(alpha: float) -> None:
    requests = 300
    gains, losses = (grid.ravel() for grid in np.meshgrid(np.arange(0, 30, 3), np.arange(0, 40)))
    values = np.zeros((gains.size, requests))
    for row, (gained, lost) in enumerate(zip(gains, losses, strict=True)):
        values[row, :gained], values[row, requests - lost :] = 1, -1
    low, high = change_ends(Sample(values, np.arange(requests)), alpha)
    assert (_within(gains, losses, requests, MARGIN, alpha) == (low > -MARGIN)).all()
    assert (_beyond(gains, losses, requests, MARGIN, alpha) == (high < -MARGIN)).all()
