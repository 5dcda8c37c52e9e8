"""How many separate requests would decide whether accuracy falls by less than a margin?

Separate requests share no media; ``needed`` turns them into requests of a run's own kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from math import sqrt
from statistics import NormalDist

from reports.statistics.tail import chance_negative

POWER = 0.95
SPARE = 0.01  # what is asked for beyond: counts are whole, and the normal distribution is only near
MOST = 10_000_000


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

    def decision(self, margin: float) -> Decision | None:
        """What can be shown, as it is true; None at the margin itself."""
        beyond = self.lost - self.gained - margin
        return None if beyond == 0 else Decision.BEYOND if beyond > 0 else Decision.WITHIN


@lru_cache(maxsize=4096)
def requests_to_decide(
    decision: Decision, truth: Truth, margin: float, alpha: float, target: float = POWER
) -> int | None:
    """The fewest separate requests that lead to the decision with a probability of ``target``, and a little more.

    They must decide by the bounds of ``Changes.bounds`` even if chance makes the losses (or gains) as unfavourable as
    it does with a probability of 1 - ``target``, by the normal distribution. Without any flip that number is exact:
    ``log(alpha) / log(1 - margin)``. None where the decision is wrong, as no number leads there then, and beyond
    ``MOST``.
    """
    if truth.decision(margin) is not decision:
        return None

    def reached(requests: int) -> bool:
        return _chance(decision, truth, requests, margin, target) < alpha

    low, high = 1, 2
    while not reached(high):
        low, high = high, 2 * high
        if high > MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def _chance(decision: Decision, truth: Truth, requests: int, margin: float, target: float) -> float:
    """Chance of what is expected, with bad luck, were the truth at the margin: see ``Changes.bounds``."""
    variance = truth.gained * (1 - truth.gained), truth.lost * (1 - truth.lost)
    total = variance[0] + variance[1] + 2 * truth.gained * truth.lost  # gains and losses exclude each other
    off = NormalDist().inv_cdf(target + SPARE) * sqrt(requests * total) / (sum(variance) or 1.0)
    if decision is Decision.BEYOND:
        off = -off
    gains = min(max(requests * truth.gained - off * variance[0], 0.0), requests)
    whole = 0.5 if decision is Decision.WITHIN and truth.lost else 0.0  # counts are whole: round to the worse side
    losses = min(max(requests * truth.lost + off * variance[1] + whole, 0.0), requests - gains)
    same = requests - gains - losses
    if decision is Decision.WITHIN:
        return float(chance_negative((margin - 1, margin, margin + 1), (losses + 1, same, gains)))
    return float(chance_negative((1 - margin, -margin, -margin - 1), (losses, same, gains + 1)))
