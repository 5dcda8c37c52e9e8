"""Do intervals hold the truth, and do verdicts err, as often as they say? By simulation, for flips of several kinds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from reports.statistics.clusters import Floats, Sample
from reports.statistics.intervals import median_interval, wilson_ends

SETS, ALPHA = 2000, 0.05
NOISE = 3 * np.sqrt(ALPHA * (1 - ALPHA) / SETS)
HELD = 0.935 - NOISE  # where few flips are expected, score intervals hold the truth in 93.5 % instead of 95 %

Numbers = NDArray[np.intp]
Draw = Callable[[np.random.Generator, Numbers, float], Floats]


def separate(rng: np.random.Generator, sizes: Numbers, chance: float) -> Floats:
    """Every request by itself."""
    return np.asarray(rng.random((SETS, sizes.sum())) < chance, dtype=np.float64)


def together(rng: np.random.Generator, sizes: Numbers, chance: float) -> Floats:
    """All requests of a cluster or none."""
    return np.repeat(np.asarray(rng.random((SETS, sizes.size)) < chance, dtype=np.float64), sizes, axis=1)


def alike(rng: np.random.Generator, sizes: Numbers, chance: float) -> Floats:
    """Requests of a cluster have a chance of their own in common."""
    chances = rng.beta(2 * chance, 2 * (1 - chance), (SETS, sizes.size))
    return np.asarray(rng.random((SETS, sizes.sum())) < np.repeat(chances, sizes, axis=1), dtype=np.float64)


def mixed(rng: np.random.Generator, sizes: Numbers, chance: float) -> Floats:
    """Half by themselves, half by whole clusters."""
    half = 1 - np.sqrt(1 - chance)
    return np.maximum(separate(rng, sizes, half), together(rng, sizes, half))


KINDS = [separate, together, alike, mixed]


def changes(
    rng: np.random.Generator, clusters: int, draw: Draw, gain: float, loss: float, evenly: bool = True
) -> Sample:
    """Sets of differences, with these chances of 1 and of -1; clusters have one to eight requests or Zipf's numbers."""
    sizes = rng.integers(1, 9, clusters) if evenly else np.ceil(clusters / np.arange(1, clusters + 1) / 4).astype(int)
    gained, lost = (draw(rng, sizes, chance) if chance else np.zeros((SETS, sizes.sum())) for chance in (gain, loss))
    return Sample(gained - lost, np.cumsum(sizes) - sizes)


def coverage(ends: tuple[Floats, Floats], truth: float) -> float:
    low, high = ends
    return float(np.mean((low <= truth) & (truth <= high)))


@pytest.mark.parametrize("draw", KINDS)
@pytest.mark.parametrize("accuracy", [0.5, 0.9, 0.98])
def test_the_interval_of_an_accuracy_holds_the_truth(draw: Draw, accuracy: float) -> None:
    sample = changes(np.random.default_rng(4), 100, draw, accuracy, 0)
    assert coverage(wilson_ends(sample, ALPHA), accuracy) >= HELD


@pytest.mark.parametrize("shared", [0.0, 0.3, 0.9])
def test_the_interval_of_a_median_holds_the_truth(shared: float) -> None:
    rng = np.random.default_rng(5)
    clusters = [str(number // 4) for number in range(200)]
    covered = 0
    for _ in range(SETS // 4):
        own, common = rng.normal(size=200), np.repeat(rng.normal(size=50), 4)
        interval = median_interval(np.exp(np.sqrt(shared) * common + np.sqrt(1 - shared) * own), clusters, ALPHA)
        assert interval is not None
        covered += interval.low <= 1 <= interval.high
    assert covered / (SETS // 4) >= 1 - ALPHA - 2 * NOISE
