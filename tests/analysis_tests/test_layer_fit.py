"""The fitted layer schedule is the best there is: against brute force, and within its bounds."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.analysis.layer_fit import cheapest, cost_left, fit_ratios, to_weights
from runners.analysis.records import SHARES

costs = st.floats(0, 100, allow_subnormal=False)


@st.composite
def tables(draw: st.DrawFn) -> tuple[np.ndarray[Any, Any], int]:
    """Costs of giving each layer so many units, of any shape, and a total that can be given."""
    layers, most = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    table = draw(st.lists(costs, min_size=layers * (most + 1), max_size=layers * (most + 1)))
    return np.array(table).reshape(layers, most + 1), draw(st.integers(0, layers * most))


def falling(layers: int, most: int, total: int) -> list[tuple[int, ...]]:
    return [
        units
        for units in product(range(most + 1), repeat=layers)
        if sum(units) == total and all(first >= second for first, second in pairwise(units))
    ]


@given(tables())
def test_nothing_costs_less(case: tuple[np.ndarray[Any, Any], int]) -> None:
    table, total = case
    layers, width = table.shape
    found = cheapest(table, total)
    possible = falling(layers, width - 1, total)
    assert tuple(found) in possible
    best = min(sum(table[layer, units] for layer, units in enumerate(choice)) for choice in possible)
    assert sum(table[layer, units] for layer, units in enumerate(found)) == pytest.approx(best)


@given(st.integers(1, 4), st.integers(1, 4), st.data())
def test_of_equal_ones_the_flattest_is_taken(layers: int, most: int, data: st.DataObject) -> None:
    total = data.draw(st.integers(0, layers * most))
    found = cheapest(np.zeros((layers, most + 1)), total)
    assert max(found) - min(found) <= 1


def test_more_than_all_layers_can_take_is_refused() -> None:
    with pytest.raises(ValueError, match="2 layers of at most 3 units cannot take 7"):
        cheapest(np.zeros((2, 4)), 7)


def convex(ratios: Any) -> Any:
    return (1 - ratios) ** 4


@given(
    sensitivity=st.lists(costs, min_size=1, max_size=8),
    budget=st.floats(0.01, 0.99),
    bend=st.floats(0.2, 20),
    grid=st.integers(1, 60),
)
def test_the_budget_is_met_and_ratios_never_grow(
    sensitivity: list[float], budget: float, bend: float, grid: int
) -> None:
    ratios = fit_ratios(sensitivity, lambda ratios: (1 - np.minimum(ratios, 1)) ** bend, budget, grid)
    assert len(ratios) == len(sensitivity)
    assert np.mean(ratios) == pytest.approx(budget)
    assert all(0 <= ratio <= 1 + 1e-9 for ratio in ratios)
    assert all(first >= second for first, second in pairwise(ratios))


@given(sensitivity=st.lists(costs, min_size=2, max_size=6), budget=st.floats(0.02, 0.9))
def test_no_profile_that_may_be_had_costs_more_than_the_same_for_all(sensitivity: list[float], budget: float) -> None:
    ratios = np.array(fit_ratios(sensitivity, convex, budget, 100))
    flat = sum(sensitivity) * convex(np.array(budget))
    assert np.dot(sensitivity, convex(ratios)) <= flat * (1 + 1e-9)


def test_layers_that_cost_nothing_get_nothing_below_the_last_that_does() -> None:
    ratios = fit_ratios([0.0, 0.0, 1.0, 0.0, 0.0], convex, 0.1)
    assert ratios == pytest.approx([1 / 6, 1 / 6, 1 / 6, 0, 0], abs=0.01)


def test_a_layer_that_may_cost_as_much_as_others_is_not_cut() -> None:
    sure, unsure = fit_ratios([1, 1, 1, 0.02], convex, 0.1), fit_ratios([1, 1, 1, 1], convex, 0.1)
    assert sure[-1] < 0.5 * sure[0]
    assert unsure == [0.1] * 4


@given(st.lists(costs, min_size=2, max_size=6), st.floats(0.02, 0.16))
def test_without_diminishing_returns_one_step_cannot_be_beaten(sensitivity: list[float], budget: float) -> None:
    layers, grid = len(sensitivity), 120
    ratios = fit_ratios(sensitivity, lambda ratios: 1 - ratios, budget, grid)
    by_step = max(budget * layers * mean for mean in np.cumsum(sensitivity) / np.arange(1, layers + 1))
    rounding = sum(sensitivity) * budget * layers / grid
    assert np.dot(sensitivity, ratios) >= by_step - rounding - 0.01 * sum(sensitivity) - 1e-9
    assert np.dot(sensitivity, ratios) <= by_step + 1e-9


def test_where_nothing_is_to_be_saved_all_layers_get_the_same() -> None:
    assert fit_ratios([0.0, 0.0, 0.0], convex, 0.05) == [0.05] * 3
    nearly_flat = fit_ratios([1.0, 1.0, 0.999], convex, 0.05)
    assert nearly_flat == [0.05] * 3, "a saving within the error of what was measured is none"


def test_weights_begin_at_one() -> None:
    assert to_weights([0.08, 0.04, 0.0]) == (1.0, 0.5, 0.0)


def test_the_cost_left_is_pooled_in_nats_and_never_grows(made_up: Any) -> None:
    heavy = made_up("r0", kl_repaired=np.array([9.0, 3, 4, 1, 0, 0, 0]))
    light = made_up("r1", kl_repaired=np.array([1.0, 1, 1, 1, 1, 1, 1]))
    covered = made_up("r2", stale=False)
    left = cost_left([heavy, light, covered])
    points = left(np.array([*SHARES, 1.0]))
    assert points == pytest.approx([1.0, 0.4, 0.4, 0.2, 0.1, 0.1, 0.1, 0.0])
    assert left(np.array([0.035, 0.75])) == pytest.approx([0.3, 0.05])


def test_where_reuse_costs_nothing_a_straight_line_is_left(made_up: Any) -> None:
    ratios = np.linspace(0, 1, 7)
    for observations in ([], [made_up(kl_repaired=np.zeros(7))]):
        assert cost_left(observations)(ratios) == pytest.approx(1 - ratios)
