from __future__ import annotations

from math import ceil, floor, log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.statistics.changes import Changes
from reports.statistics.needed import AS_SEEN, NO_CHANGE, Needed, needed_to_decide
from reports.statistics.verdict import verdict_on

MARGIN, ALPHA = 0.02, 0.05


def of_flips(gained: int, lost: int, same: int) -> Changes:
    values = [1.0] * gained + [-1.0] * lost + [0.0] * same
    return Changes.of(values, [str(number) for number in range(len(values))])


@pytest.mark.parametrize(
    ("flips", "verdict"),
    [
        ((0, 0, 149), "non-inferior"),
        ((0, 0, 148), "undecided"),
        ((30, 0, 70), "non-inferior"),
        ((2, 3, 95), "undecided"),
        ((0, 1, 200), "undecided"),
        ((0, 1, 240), "non-inferior"),
        ((0, 5, 5), "inferior"),
        ((0, 50, 950), "inferior"),
        ((0, 0, 1), None),
        ((0, 0, 0), None),
    ],
)
def test_the_bounds_decide(flips: tuple[int, int, int], verdict: str | None) -> None:
    assert verdict_on(of_flips(*flips), MARGIN, ALPHA) == verdict


def test_requests_about_one_medium_are_not_judged() -> None:
    assert verdict_on(Changes.of([-1.0] * 9, ["one"] * 9), MARGIN, ALPHA) is None


@given(st.floats(0.005, 0.9), st.floats(0.01, 0.4))
@settings(deadline=None, max_examples=25)
def test_so_many_decide_when_nothing_flips_and_one_less_does_not(margin: float, alpha: float) -> None:
    fewest = log(alpha) / log(1 - margin)
    if abs(fewest - round(fewest)) > 1e-3:
        needed = needed_to_decide(of_flips(0, 0, 2), 1.0, margin, alpha)
        assert needed is None or needed.worth == max(ceil(fewest), 3)
        for count, verdict in ((ceil(fewest), "non-inferior"), (floor(fewest), "undecided")):
            assert verdict_on(of_flips(0, 0, count), margin, alpha) == (verdict if count > 1 else None)


def test_losses_that_nothing_makes_up_for_are_expected_to_go_on() -> None:
    """Not as if they went both ways: a runner that lost 3 of 4 is condemned by a few more of the same kind."""
    needed = needed_to_decide(of_flips(0, 3, 1), 1.0, MARGIN, ALPHA)
    assert needed is not None
    assert needed.worth < 15
    assert needed.assuming == AS_SEEN


def test_what_is_needed_is_counted_in_requests_of_the_runs_kind_too() -> None:
    clusters = [str(number // 3) for number in range(30)]
    changes = Changes.of([0.0] * 30, clusters)
    found = needed_to_decide(changes, 36 / changes.worth(ALPHA), MARGIN, ALPHA)
    assert found == Needed(537, 149, NO_CHANGE)
    assert str(found) == "537 requests like these (149 sharing no media) would decide, if no score changes"
    never = needed_to_decide(changes, None, MARGIN, ALPHA)
    assert never is not None
    assert (never.requests, never.worth) == (None, 149)
    assert never.count == "149 sharing no media (few more would come)"


def test_at_the_margin_no_number_decides() -> None:
    assert needed_to_decide(of_flips(0, 1, 49), 1.0, MARGIN, ALPHA) is None
    assert needed_to_decide(Changes.of([], []), None, MARGIN, ALPHA) is None


def test_a_run_that_did_not_decide_needs_more_than_it_had() -> None:
    needed = needed_to_decide(of_flips(8, 8, 400), 1.0, MARGIN, ALPHA)
    assert needed is not None
    assert needed.worth > 416
