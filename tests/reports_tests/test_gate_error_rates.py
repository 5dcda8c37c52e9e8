"""Does the gate err as seldom as it says? By simulation: few sets here, thousands with docs/benchmarks."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from reports.statistics.bounds import change_ends, quantile_bounds, quantile_ratio_bounds
from reports.statistics.clusters import Floats, Sample
from reports.statistics.power import POWER, Decision, Truth, requests_to_decide

SETS, ALPHA, MARGIN = 2000, 0.05, 0.02
SCRIPT = Path(__file__).parents[2] / "docs" / "benchmarks" / "gate_error_rates.py"

Numbers = NDArray[np.intp]


def noise(share: float, sets: int = SETS) -> float:
    return float(3 * np.sqrt(share * (1 - share) / sets))


def one_by_one(rng: np.random.Generator, sizes: Numbers) -> Floats:
    """A draw of its own for every request."""
    return rng.random((SETS, sizes.sum()))


def together(rng: np.random.Generator, sizes: Numbers) -> Floats:
    """One draw for all requests of a cluster."""
    return np.repeat(rng.random((SETS, sizes.size)), sizes, axis=1)


def changes(
    kind: Callable[[np.random.Generator, Numbers], Floats], sizes: Numbers, gain: float, loss: float, seed: int
) -> Sample:
    draws = kind(np.random.default_rng(seed), sizes)
    values = (draws < gain).astype(np.float64) - (draws > 1 - loss)
    return Sample(values, np.cumsum(sizes) - sizes)


def sizes_worth(worth: int, seed: int) -> Numbers:
    """Clusters of one to four requests that are worth that many separate ones."""
    sizes = np.random.default_rng(seed).integers(1, 5, 2 * worth)
    worths = np.cumsum(sizes) ** 2 / np.cumsum(sizes**2)
    return np.asarray(sizes[: int(np.searchsorted(worths, worth)) + 1], dtype=np.intp)


@pytest.mark.parametrize("kind", [one_by_one, together])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize(("gain", "loss"), [(0, 0.02), (0.01, 0.03), (0.05, 0.07)])
def test_who_loses_just_the_margin_seldom_passes_and_seldom_fails(
    kind: Callable[[np.random.Generator, Numbers], Floats], alpha: float, gain: float, loss: float
) -> None:
    for worth in (30, 150, 500):
        low, high = change_ends(changes(kind, sizes_worth(worth, 0), gain, loss, worth), alpha)
        assert np.mean(low > -MARGIN) <= alpha + noise(alpha)
        assert np.mean(high < -MARGIN) <= alpha + noise(alpha)


@pytest.mark.parametrize("kind", [one_by_one, together])
@pytest.mark.parametrize("flips", [0.0, 0.02])
def test_so_many_requests_as_the_power_report_asks_for_decide(
    kind: Callable[[np.random.Generator, Numbers], Floats], flips: float
) -> None:
    unchanged = requests_to_decide(Decision.WITHIN, Truth.unchanged(flips), MARGIN, ALPHA)
    fallen = requests_to_decide(Decision.BEYOND, Truth.fallen(0.05, flips), MARGIN, ALPHA / 4)
    assert unchanged is not None
    assert fallen is not None
    low, high = change_ends(changes(kind, sizes_worth(unchanged, 1), flips / 2, flips / 2, 1), ALPHA)
    assert np.mean(low > -MARGIN) >= POWER - noise(POWER)
    assert np.mean(high < -MARGIN) == 0
    _, high = change_ends(changes(kind, sizes_worth(fallen, 2), flips / 2, flips / 2 + 0.05, 2), ALPHA / 4)
    assert np.mean(high < -MARGIN) >= POWER - noise(POWER)


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
def script() -> ModuleType:
    """The script that judges thousands of runs."""
    spec = importlib.util.spec_from_file_location("gate_error_rates", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


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
