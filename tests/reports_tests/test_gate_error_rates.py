"""Does the gate err as seldom as it says? By simulation: few sets here, thousands with docs/benchmarks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
from scipy.stats import norm

from reports.statistics.bounds import quantile_bounds, quantile_ratio_bounds

ALPHA = 0.05


def noise(share: float, sets: int) -> float:
    return float(3 * np.sqrt(share * (1 - share) / sets))


@pytest.mark.parametrize("requests", [299, 1200])
def test_bounds_of_quantiles_and_their_ratios_hold(requests: int) -> None:
    sets, rng = 300, np.random.default_rng(3)
    clusters = [f"{number // 2:04d}" for number in range(requests)]
    wrong: Counter[str] = Counter()
    for _ in range(sets):
        common = np.repeat(rng.normal(size=(requests + 1) // 2), 2)[:requests]
        over, under = (np.exp(0.6 * common + 0.4 * rng.normal(size=requests)) for _ in range(2))
        median = quantile_bounds(over, clusters, 0.5, ALPHA)
        ratio = quantile_ratio_bounds(over, under, clusters, 0.99, ALPHA)
        top = quantile_bounds(over, clusters, 0.99, ALPHA)
        truth = float(np.exp(np.hypot(0.6, 0.4) * norm.ppf(0.99)))
        found = {"median": (median, 1.0), "ratio": (ratio, 1.0), "p99": (top, truth)}
        wrong.update(f"{name} low" for name, (ends, true) in found.items() if ends.low > true)
        wrong.update(f"{name} high" for name, (ends, true) in found.items() if ends.high < true)
    assert all(count / sets <= ALPHA + noise(ALPHA, sets) for count in wrong.values()), wrong


@pytest.fixture(scope="module")
def script(script_of: Callable[[str], ModuleType]) -> ModuleType:
    """The script that judges thousands of runs."""
    return script_of("gate_error_rates")


@pytest.mark.parametrize(
    ("scenario", "code", "least"),
    [
        ("unchanged, no flips", 0, 1.0),
        ("falls by 5 points, no flips, together", 1, 0.8),
        ("exactly as fast as the reference", 3, 0.7),
    ],
)
def test_simulated_runs_end_as_they_should(script: ModuleType, scenario: str, code: int, least: float) -> None:
    codes = script.judge_many(script.SCENARIOS[scenario], 20, np.random.default_rng(4))
    assert codes[code] / 20 >= least, codes
