"""The one estimate of how many requests would decide, for tables, recommendations, pages and the gate."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from reports.statistics.changes import Changes
from reports.statistics.power import Decision, Truth, requests_to_decide

AS_SEEN = "if what was seen is the truth"
NO_CHANGE = "if no score changes"


@dataclass(frozen=True)
class Needed:
    """How many requests would do.

    Attributes:
        requests: of the kind that the run had; None where more of them bring hardly any new media, and never do.
        worth: as many that share no media.
        assuming: what has to be true of the runner; empty where fewer cannot do, and so many may not.
    """

    requests: int | None
    worth: int
    assuming: str = ""

    @property
    def count(self) -> str:
        """Both numbers, in words."""
        separate = f"{self.worth:,} sharing no media"
        if self.requests is None:
            return f"{separate} (few more would come)"
        return f"{self.requests:,} requests like these ({separate})"

    def __str__(self) -> str:
        return f"{self.count} would decide, {self.assuming}" if self.assuming else f"at least {self.count} are needed"

    @classmethod
    def of(cls, worth: int, per_separate: float | None, assuming: str) -> Needed:
        """``per_separate``: requests of the run for each separate one that they are worth; None: see ``requests``."""
        return cls(None if per_separate is None else ceil(worth * per_separate), worth, assuming)


def needed_to_decide(
    changes: Changes, per_separate: float | None, margin: float, alpha: float, alpha_beyond: float | None = None
) -> Needed | None:
    """How many requests would decide whether the mean change lies above -``margin``, were it what was seen.

    None where nobody can tell: nothing was compared, the change lies at the margin, or the number is absurd. At least
    one more than the run is worth, which did not decide.

    Args:
        changes: as seen; flips that went one way only are expected to go that way.
        per_separate: see ``Needed.of``.
        alpha: chance of a wrong decision.
        alpha_beyond: the same of the decision that the loss is beyond the margin, if that is another.
    """
    truth = Truth(changes.gained, changes.lost)
    decision = truth.decision(margin)
    if decision is None or changes.clusters < 1 or margin <= 0:
        return None
    level = alpha if decision is Decision.WITHIN or alpha_beyond is None else alpha_beyond
    seen = requests_to_decide(decision, truth, margin, level)
    if seen is None:
        return None
    assuming = AS_SEEN if changes.gained or changes.lost else NO_CHANGE
    return Needed.of(max(seen, ceil(changes.worth(alpha)) + 1), per_separate, assuming)
