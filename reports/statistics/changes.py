"""Changes of score in clusters, and the one bound of their mean that verdicts, intervals and the gate rest on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from reports.statistics.clusters import Floats, Sample
from reports.statistics.intervals import UNKNOWN, Interval
from reports.statistics.levels import ONE_LOOK, AlphaShares
from reports.statistics.tail import chance_negative

PRECISION = 1e-12
DECIMALS = 12


@dataclass(frozen=True)
class Changes:
    """What became of the scores of some requests, cluster by cluster; clusters that look alike are counted.

    Attributes:
        kinds: ``(requests, sum of changes)`` of a cluster, each change from -1 to 1.
        counts: how many clusters are of each kind.
        shares: of every alpha that bounds are asked for; less than all of it where a run is judged at two looks.
    """

    kinds: tuple[tuple[int, float], ...]
    counts: tuple[int, ...]
    gained: float
    lost: float
    shares: AlphaShares = ONE_LOOK

    @classmethod
    def of(cls, values: ArrayLike, clusters: Sequence[str]) -> Changes:
        """``values`` and ``clusters`` of the same requests, in any order."""
        sample = Sample.of(values, clusters)
        if not sample.requests:
            return cls((), (), 0.0, 0.0)
        sizes = np.diff(sample.starts, append=sample.requests)
        totals = np.add.reduceat(sample.values, sample.starts).round(DECIMALS) + 0.0
        kinds, counts = np.unique(np.stack((sizes, totals), axis=1), axis=0, return_counts=True)
        gained, lost = (round(float(np.maximum(sign * sample.values, 0).mean()), DECIMALS) for sign in (1, -1))
        return cls(tuple((int(size), float(total)) for size, total in kinds), tuple(counts.tolist()), gained, lost)

    @property
    def requests(self) -> int:
        """How many were compared."""
        return sum(count * size for count, (size, _) in zip(self.counts, self.kinds, strict=True))

    @property
    def clusters(self) -> int:
        """How many clusters they form."""
        return sum(self.counts)

    @property
    def mean(self) -> float:
        """The mean change of a request."""
        return self.gained - self.lost

    def bounds(self, alpha: float) -> Interval:
        """Bound the mean change: each end is wrong with a probability of ``alpha`` at most, below 0.5.

        Gaffke's bound (Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative
        variable, Mathematical Methods of Statistics 14, 2005; Learned-Miller and Thomas, arXiv 1905.06208) with whole
        clusters as the observations: the end is the ``alpha`` quantile of the mean under random exponential weights,
        one for each cluster and one for a cluster of mean size, never seen, all of whose requests were lost. Nothing is
        drawn: quantiles are computed, see ``tail``.

        Every cluster counts by its requests, and once more all count alike; the further end is taken. By requests a
        popular cluster that was lost weighs what it costs; alike, many small clusters cannot hide behind a large one
        that happened to be kept. Neither knows of a popular cluster that was never seen.

        With one request in every cluster and changes in one direction it is the exact bound of Clopper and Pearson
        (Biometrika 26, 1934); without any change, ``alpha ** (1 / clusters) - 1``. What a cluster's requests have in
        common need not be known. Error rates: ``docs/benchmarks/proof.md``. Of fewer than two clusters nothing is
        known: both ends are infinite.
        """
        if self.clusters < 2:
            return UNKNOWN
        low, high = alpha * self.shares.low, alpha * self.shares.high
        return Interval(_lower_end(self, low), -_lower_end(self.mirrored(), high))

    def exceed(self, change: float, alpha: float) -> bool:
        """Whether the lower end of ``bounds`` lies above ``change``."""
        return self.bounds(alpha).low > change

    def interval(self, alpha: float) -> Interval | None:
        """Both ends with confidence 1 - ``alpha``, half of the error on either side; None where nothing is known."""
        return None if self.clusters < 2 else self.bounds(alpha / 2)

    def mirrored(self) -> Changes:
        """The same with gains as losses and losses as gains."""
        kinds = tuple((size, 0.0 - total) for size, total in self.kinds)
        shares = AlphaShares(self.shares.high, self.shares.low)
        return replace(self, kinds=kinds, gained=self.lost, lost=self.gained, shares=shares)

    def joined_by_unchanged(self, clusters: int) -> Changes:
        """The same with so many more clusters, of the usual size, in which nothing changes."""
        usual = max(1, round(self.requests / self.clusters)) if self.clusters else 1
        weight = self.requests / (self.requests + clusters * usual)
        return replace(
            self,
            kinds=(*self.kinds, (usual, 0.0)),
            counts=(*self.counts, clusters),
            gained=self.gained * weight,
            lost=self.lost * weight,
        )

    def worth(self, alpha: float) -> float:
        """Of how many separate requests, with as large shares of gains and losses, the lower end would be the same.

        One cluster is worth one, nothing 0. More than the number of clusters where their requests err independently.
        """
        if self.clusters < 2:
            return float(self.clusters)
        alpha *= self.shares.low
        low, same = _lower_end(self, alpha), 1 - self.gained - self.lost

        def excess(requests: float) -> float:
            shapes = (1 + requests * self.lost, requests * same, requests * self.gained)
            return float(chance_negative((-1 - low, -low, 1 - low), shapes)) - alpha

        most = float(self.requests)
        if low <= -1 + PRECISION or excess(most) >= 0:
            return most
        return float(brentq(excess, PRECISION, most, xtol=1e-6))


@lru_cache(maxsize=4096)
def _lower_end(changes: Changes, alpha: float) -> float:
    """See ``Changes.bounds``: the lower of the ends by both weightings, which are one where clusters are even."""
    shapes = np.array((1, *changes.counts))
    sizes, totals = (np.array(part, dtype=np.float64) for part in zip(*changes.kinds, strict=True))
    end = _end(sizes, totals, shapes, alpha)
    return end if (sizes == sizes[0]).all() else min(end, _end(np.ones_like(sizes), totals / sizes, shapes, alpha))


def _end(sizes: Floats, totals: Floats, shapes: Floats, alpha: float) -> float:
    """The lower end by one weighting. ``sizes``, ``totals``: ``(kinds,)``; ``shapes``: ``(1 + kinds,)``."""
    weight = float(sizes @ shapes[1:])
    mean, typical = float(totals @ shapes[1:]) / weight, weight / shapes[1:].sum()

    def excess(change: float) -> float:
        weights = np.concatenate(((-typical * (1 + change),), totals - sizes * change))
        return float(chance_negative(weights, shapes)) - alpha

    if mean <= -1 + PRECISION:
        return -1.0
    return mean if excess(mean) <= 0 else float(brentq(excess, -1.0, mean, xtol=PRECISION))
