"""Bounds of a mean change that hold however often one looks: betting on it, one separate request at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from reports.statistics.changes import Changes
from reports.statistics.clusters import Floats
from reports.statistics.intervals import UNKNOWN, Interval

STAKES = np.array((0.99, 0.9, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02))  # of the largest bet that cannot ruin
SHARES = np.array((0.25, 0.25, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05))  # of the capital behind each
HALVINGS = 40


@dataclass(frozen=True)
class SequentialChanges(Changes):
    """``Changes`` of a run that was stopped by what it saw: the same, but for bounds that allow for looking.

    Attributes:
        observations: the change of the first compared request of every cluster, in the order of the stream.
    """

    observations: tuple[float, ...] = ()

    @classmethod
    def in_order(cls, values: ArrayLike, clusters: Sequence[str]) -> SequentialChanges:
        """``values`` and ``clusters`` of the same requests, in the order in which they were asked."""
        changes = Changes.of(values, clusters)
        first = {name: float(value) for name, value in reversed([*zip(clusters, np.asarray(values), strict=True)])}
        observations = tuple(first[name] for name in dict.fromkeys(clusters))
        return cls(changes.kinds, changes.counts, gained=changes.gained, lost=changes.lost, observations=observations)

    def bounds(self, alpha: float) -> Interval:
        """Bound the mean change of a separate request; each end is ever wrong with a probability of ``alpha`` at most.

        Were the mean at most m, a bet on changes above m would win with a probability of ``alpha`` at most, whenever
        one stops: its capital ``prod (1 + stake (x - m))`` is expected to fall, and reaches 1 / ``alpha`` with that
        probability at most (Ville; Waudby-Smith and Ramdas, JRSS B 86, 2024, arXiv 2010.09686). The lower end is the
        largest mean that was ever ruled out. The capital is split over ``STAKES``, so that no stake has to be chosen:
        large ones win fast where nothing flips, small ones survive flips.

        Only the first compared request of every cluster is bet on, whatever the others have in common with it.
        """
        if len(self.observations) < 2:
            return UNKNOWN
        return Interval(
            _lower_end(self.observations, alpha), -_lower_end(tuple(-value for value in self.observations), alpha)
        )

    def exceed(self, change: float, alpha: float) -> bool:
        """See ``Changes``: one bet tells, without the search for the end itself."""
        return len(self.observations) > 1 and _is_ruled_out(np.array(self.observations), change, alpha)

    def mirrored(self) -> SequentialChanges:
        """See ``Changes``."""
        turned = super().mirrored()
        observations = tuple(0.0 - value for value in self.observations)
        return SequentialChanges(
            turned.kinds, turned.counts, gained=turned.gained, lost=turned.lost, observations=observations
        )

    def worth(self, alpha: float) -> float:
        """The number of clusters: each is one observation."""
        return float(len(self.observations))


def log_capital(observations: Floats, mean: float) -> Floats:
    """``(observations,)``: logarithm of the capital after each, betting that the mean is above ``mean``."""
    stakes = STAKES / (1 + mean)  # a change of -1 loses almost all of the largest
    paths = np.log1p(stakes[:, None] * (observations - mean)).cumsum(axis=1)
    capital: Floats = logsumexp(paths, axis=0, b=SHARES[:, None])
    return capital


@lru_cache(maxsize=1024)
def _lower_end(observations: tuple[float, ...], alpha: float) -> float:
    """The largest mean below which all were ruled out at some time: capital falls with the mean that is bet against."""
    values, low, high = np.array(observations), -1.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _is_ruled_out(values, middle, alpha) else (low, middle)
    return low


def _is_ruled_out(observations: Floats, mean: float, alpha: float) -> bool:
    """Whether all means up to ``mean`` were ruled out at some time."""
    return mean > -1 and bool((log_capital(observations, mean) >= log(1 / alpha)).any())
