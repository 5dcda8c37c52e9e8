"""A requirement with its evidence: is it shown to hold, or to be violated?"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from reports.gate.evidence import Evidence
from reports.gate.requirements import Requirement
from reports.statistics.stats import Interval


@dataclass(frozen=True)
class Question:
    """One requirement of one runner on one workload.

    Attributes:
        limit: as the policy has it.
        requests: turns of the workload that the runner was asked.
    """

    workload: str
    runner: str
    requirement: Requirement
    limit: float
    evidence: Evidence
    requests: int

    @property
    def bound(self) -> float:
        """What the value must be at least or at most."""
        return self.requirement.bound(self.limit)

    @property
    def tested(self) -> bool:
        """Whether there is an estimate to test, and no plain count."""
        return self.evidence.bounds is not None

    def ends(self, alpha: float) -> Interval:
        """Bounds of the truth, each wrong with a probability of at most ``alpha``; of a count its value."""
        if self.evidence.bounds is not None:
            return self.evidence.bounds(alpha)
        value = self.evidence.value
        return Interval(-inf, inf) if value is None else Interval(value, value)

    def violated(self, alpha: float) -> bool:
        """Whether the truth is shown to lie on the wrong side of the bound."""
        ends = self.ends(alpha)
        return ends.high < self.bound if self.requirement.side == "least" else ends.low > self.bound

    def holds(self, alpha: float) -> bool:
        """Whether the truth is shown to lie on the right side."""
        ends = self.ends(alpha)
        return ends.low >= self.bound if self.requirement.side == "least" else ends.high <= self.bound
