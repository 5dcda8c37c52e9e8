from __future__ import annotations

from math import ceil, log

import numpy as np
import pytest

from reports.statistics.power import POWER, Decision, Truth, requests_to_decide
from reports.statistics.tail import chance_negative

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


@pytest.mark.parametrize(
    ("truth", "alpha"),
    [
        (Truth.unchanged(0.01), ALPHA),
        (Truth(0, 0.005), ALPHA),
        (Truth(0.05, 0.05), ALPHA),
        (Truth(0.3, 0.305), ALPHA),
        (Truth.fallen(0.05, 0), ALPHA),
        (Truth.fallen(0.05, 0.02), ALPHA / 4),
        (Truth(0, 0.78), ALPHA / 3),
        (Truth(0, 1), ALPHA),
    ],
)
def test_so_many_have_the_power_and_far_fewer_do_not(truth: Truth, alpha: float) -> None:
    decision = truth.decision(MARGIN)
    assert decision is not None
    needed = requests_to_decide(decision, truth, MARGIN, alpha)
    assert needed is not None
    assert decided(decision, truth, needed, alpha) >= POWER - 0.015
    assert decided(decision, truth, int(0.8 * needed), alpha) < POWER


def decided(decision: Decision, truth: Truth, requests: int, alpha: float) -> float:
    """How often simulated runs are decided."""
    chances = [truth.lost, 1 - truth.lost - truth.gained, truth.gained]
    drawn = np.random.default_rng(0).multinomial(requests, chances, 2000)
    outcomes, counts = np.unique(drawn, axis=0, return_counts=True)
    if decision is WITHIN:
        chance = chance_negative((MARGIN - 1, MARGIN, MARGIN + 1), outcomes + np.array((1, 0, 0)))
    else:
        chance = chance_negative((1 - MARGIN, -MARGIN, -MARGIN - 1), outcomes + np.array((0, 0, 1)))
    return float(counts[chance < alpha].sum() / 2000)
