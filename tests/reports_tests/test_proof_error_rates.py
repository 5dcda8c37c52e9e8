"""Does the rule of proof err as seldom as it says? Few sets here, thousands with docs/benchmarks."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from reports.statistics.changes import Changes

SETS, ALPHA, MARGIN = 200, 0.05, 0.02
NOISE = 3 * np.sqrt(ALPHA * (1 - ALPHA) / SETS)


@pytest.fixture(scope="module")
def script(script_of: Callable[[str], ModuleType]) -> ModuleType:
    """The script that simulates thousands of runs."""
    return script_of("proof_error_rates")


@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize("gained", [0.0, 0.01, 0.2])
def test_of_separate_requests_no_error_is_likelier_than_alpha(script: ModuleType, alpha: float, gained: float) -> None:
    assert max(script.exact_errors(150, gained, MARGIN, alpha)) <= alpha


@pytest.mark.parametrize("draw", ["by_themselves", "nearly_together", "together"])
@pytest.mark.parametrize(("sizing", "clusters"), [("tens", 160), ("mixed", 160), ("zipf", 160)])
@pytest.mark.parametrize("gained", [0.0, 0.03])
def test_who_loses_the_margin_seldom_passes_and_seldom_fails(
    script: ModuleType, draw: str, sizing: str, clusters: int, gained: float
) -> None:
    rng = np.random.default_rng(1)
    sizes = getattr(script, sizing)(clusters, rng)
    values = script.simulate(sizes, getattr(script, draw), gained, False, SETS, rng)
    wrong = np.mean(script.chances_at(values, sizes, -MARGIN) < ALPHA, axis=1)
    assert (wrong <= ALPHA + NOISE).all()


def test_the_chances_of_many_sets_are_those_that_the_bounds_invert(script: ModuleType) -> None:
    rng = np.random.default_rng(2)
    sizes = script.mixed(30, rng)
    values = script.simulate(sizes, script.nearly_together, 0.05, False, 5, rng, margin=0.2)
    names = np.repeat(np.arange(30).astype(str), sizes).tolist()
    for place, row in enumerate(values):
        bounds = Changes.of(row, names).bounds(ALPHA)
        for side, end in enumerate((bounds.low, bounds.high)):
            assert script.chances_at(values, sizes, end)[side, place] == pytest.approx(ALPHA, rel=1e-3)
