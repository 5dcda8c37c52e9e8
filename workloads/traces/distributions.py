"""Draw sizes and gaps by published quantiles and shares, one from each percentile in every hundred draws.

Where only some quantiles are published, draws that are independent would miss them by several per cent in thousands of
requests. Here every block of ``STRATA`` draws has one from each percentile, in random order (stratified sampling), so
quantiles at whole percentiles hold from a few blocks on.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

STRATA = 100
GRID = 4096  # points of the table that the gamma distribution is inverted with
LEAST_GAP, MOST_GAP = -60.0, 5.0  # natural logarithms of the table's ends, in units of its scale
TERMS = 1000  # of the series of the incomplete gamma function
BISECTIONS = 60


class Strata:
    """Uniform numbers between 0 and 1, stratified: see the module."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._block: list[float] = []

    def draw(self) -> float:
        """The next number."""
        if not self._block:
            self._block = list((self._rng.permutation(STRATA) + self._rng.random(STRATA)) / STRATA)
        return float(self._block.pop())


@dataclass(frozen=True)
class Quantiles:
    """A distribution of positive sizes by some of its quantiles, between which it is log-linear.

    Attributes:
        shares: ascending, from 0 to 1.
        sizes: not descending.
    """

    shares: tuple[float, ...]
    sizes: tuple[float, ...]

    def at(self, share: float) -> float:
        """The size below which that share lies."""
        place = min(max(bisect_right(self.shares, share), 1), len(self.shares) - 1)
        low, high = self.shares[place - 1], self.shares[place]
        weight = (share - low) / (high - low)
        return float(self.sizes[place - 1] ** (1 - weight) * self.sizes[place] ** weight)


@dataclass(frozen=True)
class Counts:
    """A distribution of counts by their shares; what they leave of 1 is a geometric tail.

    Attributes:
        shares: by count.
        least, most: of the tail.
        ratio: of the shares of neighbours in the tail.
    """

    shares: Mapping[int, float]
    least: int
    most: int
    ratio: float

    def at(self, share: float) -> int:
        """The count below which, or at which, that share lies."""
        counts, cumulative = self._table
        place = bisect_right(cumulative, share * cumulative[-1])
        return counts[min(place, len(counts) - 1)]

    @cached_property
    def _table(self) -> tuple[list[int], list[float]]:
        """Every count, and the share up to it."""
        known, tail = sorted(self.shares), list(range(self.least, self.most + 1))
        weights = [self.ratio**place for place in range(len(tail))]
        rest = max(0.0, 1 - sum(self.shares.values())) / sum(weights)
        parts = [*(self.shares[count] for count in known), *(rest * weight for weight in weights)]
        return [*known, *tail], list(accumulate(parts))


def tail_ratio(least: int, most: int, mean: float) -> float:
    """The ratio of neighbours of a geometric distribution from ``least`` to ``most`` with that ``mean``, by bisection.

    Raises:
        ValueError: no ratio below 1 has the mean.
    """
    counts = np.arange(least, most + 1)

    def mean_of(ratio: float) -> float:
        weights = ratio ** np.arange(len(counts))
        return float((counts * weights).sum() / weights.sum())

    if not least <= mean <= mean_of(1.0):
        raise ValueError(f"must have a mean from {least} to {mean_of(1.0):g}, not {mean:g}")
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if mean_of(middle) < mean else (low, middle)
    return high


class Gaps:
    """Times between arrivals: gamma or Weibull, of equal mean and coefficient of variation (CV).

    Args:
        mean_s: seconds.
        cv: standard deviation over mean; 1 is a Poisson process, whichever of the two it is.
        weibull: share that is Weibull.
    """

    def __init__(self, mean_s: float, cv: float, weibull: float) -> None:
        self._mean_s, self._weibull = mean_s, weibull
        self._gamma = _gamma_table(1 / cv**2)
        self._shape = _weibull_shape(cv)

    def at(self, share: float, kind: float) -> float:
        """The gap below which that share lies; ``kind``, from 0 to 1, chooses between the two."""
        if kind < self._weibull:
            scale = 1 / math.gamma(1 + 1 / self._shape)
            return float(self._mean_s * scale * (-math.log1p(-share)) ** (1 / self._shape))
        shares, logs = self._gamma
        return float(self._mean_s * np.exp(np.interp(share, shares, logs)))


def _gamma_table(shape: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares below, and logarithms of, values of the gamma distribution of mean 1, by the series of DLMF 8.7.1."""
    logs = np.linspace(LEAST_GAP, MOST_GAP, GRID) + math.log(max(shape, 1.0))
    values = np.exp(logs)
    term = np.ones(GRID) / shape
    total = term.copy()
    for number in range(1, TERMS):
        term = term * values / (shape + number)
        total += term
    shares = np.exp(shape * logs - values - math.lgamma(shape)) * total
    known, places = np.unique(np.minimum(shares, 1.0), return_index=True)
    return known, logs[places] - math.log(shape)


def _weibull_shape(cv: float) -> float:
    """The shape with that CV, by bisection of its logarithm."""
    low, high = math.log(0.1), math.log(100.0)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        shape = math.exp(middle)
        found = math.exp(math.lgamma(1 + 2 / shape) - 2 * math.lgamma(1 + 1 / shape)) - 1
        low, high = (middle, high) if found > cv**2 else (low, middle)
    return math.exp((low + high) / 2)


def read_quantiles(given: Mapping[str, float]) -> Quantiles:
    """Quantiles by names such as p50 and p99.9; ValueError with the end of a sentence for what is no distribution."""
    named = {_share(name): size for name, size in given.items()}
    shares = sorted(named)
    sizes: Sequence[float] = [named[share] for share in shares]
    if not shares or shares[0] != 0 or shares[-1] != 1:
        raise ValueError("must give p0 and p100, the least and the largest size")
    if sizes[0] < 1 or any(later < earlier for earlier, later in pairwise(sizes)):
        raise ValueError("must be sizes of at least 1 that do not fall from quantile to quantile")
    return Quantiles(tuple(shares), tuple(sizes))


def _share(name: str) -> float:
    try:
        share = float(name.removeprefix("p")) / 100 if name.startswith("p") else math.nan
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise ValueError(f"must have names such as p50 and p99.9, not '{name}'")
    return share
