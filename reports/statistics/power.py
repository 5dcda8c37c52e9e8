"""How many requests would decide whether accuracy falls by less than a margin?

Everything here is counted in separate requests, which share no media; ``clusters.Sample.fewest`` says of how many such
a run is worth at least. What a run of the same kind needs is that many over its worth per request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, binom

from reports.statistics.clusters import Floats
from reports.statistics.intervals import critical_value, variance_if

Counts = NDArray[np.int64]

POWER = 0.95
SPARE = 0.01  # what is asked for beyond: how much clustered requests are worth is only estimated
MOST = 10_000_000
UNLIKELY = 1e-6
STEP = 1.01
AHEAD = (1.0, 1.005, 1.01, 1.02, 1.04)  # counts are whole, so power is a saw: it must stay up


class Decision(StrEnum):
    """What can be shown of a runner whose accuracy may fall by less than the margin."""

    WITHIN = "within the margin"
    BEYOND = "beyond the margin"


@dataclass(frozen=True)
class Truth:
    """What the runner is assumed to do: shares of requests whose score it turns from 0 to 1, and from 1 to 0."""

    gained: float
    lost: float

    @classmethod
    def unchanged(cls, flips: float) -> Truth:
        """``flips`` of all answers change, as many for the better as for the worse."""
        return cls(flips / 2, flips / 2)

    @classmethod
    def fallen(cls, fall: float, flips: float) -> Truth:
        """Accuracy falls by ``fall``, and ``flips`` of all answers change besides, for the better or the worse."""
        return cls(flips / 2, min(flips / 2 + fall, 1 - flips / 2))


def power(decision: Decision, truth: Truth, requests: int, margin: float, alpha: float) -> float:
    """The probability that ``requests`` separate requests lead to the decision, by the bounds of ``change_ends``.

    Exact up to gains that are as rare as ``UNLIKELY``: the losses that decide are sought for every number of gains.
    """
    low, high = (int(rank(UNLIKELY, requests, truth.gained)) for rank in (binom.ppf, binom.isf))
    gains = np.arange(low, high + 1)
    chances = binom.pmf(gains, requests, truth.gained)
    rest = requests - gains
    lose = truth.lost / (1 - truth.gained) if truth.gained < 1 else 0.0
    turning = _first_loss(decision, gains, requests, margin, alpha)
    decided = binom.cdf(turning - 1, rest, lose) if decision is Decision.WITHIN else binom.sf(turning - 1, rest, lose)
    return float((chances * decided).sum())


@lru_cache(maxsize=4096)
def requests_to_decide(
    decision: Decision, truth: Truth, margin: float, alpha: float, target: float = POWER
) -> int | None:
    """The fewest separate requests that lead to the decision with a probability of ``target``, and a little more.

    None where it is wrong, as no number leads there then, and beyond ``MOST``.
    """
    change = truth.gained - truth.lost
    if (change > -margin) != (decision is Decision.WITHIN) or change == -margin:
        return None

    def reached(requests: float) -> bool:
        return power(decision, truth, ceil(requests), margin, alpha) >= min(target + SPARE, 1 - UNLIKELY)

    low, high = 1, 2
    while not reached(high):
        low, high = high, 2 * high
        if high > MOST:
            return None
    while high - low > max(1, low // 500):
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    fewest: float = high
    while not all(reached(fewest * ahead) for ahead in AHEAD):
        fewest = max(fewest + 1, fewest * STEP)
    return ceil(fewest)


def _first_loss(decision: Decision, gains: Counts, requests: int, margin: float, alpha: float) -> Counts:
    """For each number of gains, the fewest losses that rule WITHIN out, or that show BEYOND; one more than can be."""
    low, high, most = np.zeros_like(gains), requests - gains + 1, requests - gains
    decided_by: Callable[..., NDArray[np.bool_]] = _within if decision is Decision.WITHIN else _beyond
    while (low < high).any():
        middle = np.minimum((low + high) // 2, most)
        turned = decided_by(gains, middle, requests, margin, alpha) != (decision is Decision.WITHIN)
        low, high = np.where(turned, low, np.minimum(middle + 1, high)), np.where(turned, middle, high)
    return high


def _within(gains: Counts, losses: Counts, requests: int, margin: float, alpha: float) -> NDArray[np.bool_]:
    """Whether the lower end lies above -margin."""
    gained, lost = gains / requests, losses / requests
    net = np.maximum(losses - gains, 0)
    exact: NDArray[np.bool_] = beta.sf(margin, net + 1, np.maximum(requests - net, UNLIKELY)) < alpha
    return (exact | (gains > losses)) & (lost - gained < margin) & _far_from(margin, lost, gained, requests, alpha)


def _beyond(gains: Counts, losses: Counts, requests: int, margin: float, alpha: float) -> NDArray[np.bool_]:
    """Whether the upper end lies below -margin."""
    gained, lost = gains / requests, losses / requests
    net = np.maximum(losses - gains, UNLIKELY)
    exact: NDArray[np.bool_] = beta.cdf(margin, net, requests - net + 1) < alpha
    return exact & (lost - gained > margin) & _far_from(-margin, gained, lost, requests, alpha)


def _far_from(difference: float, gained: Floats, lost: Floats, requests: int, alpha: float) -> NDArray[np.bool_]:
    variance = variance_if(np.full_like(gained, difference), gained, lost)
    far: NDArray[np.bool_] = requests * (gained - lost - difference) ** 2 > critical_value(2 * alpha) ** 2 * variance
    return far
