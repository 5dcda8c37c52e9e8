"""What a gate says: one claim for each requirement, and all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from reports.gate.requirements import REQUIREMENTS, Requirement

if TYPE_CHECKING:
    from reports.statistics.needed import Needed


class Outcome(StrEnum):
    """Shown to hold, shown to be violated, or neither."""

    PASS = "pass"
    FAIL = "fail"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Claim:
    """One requirement of one runner on one workload.

    Attributes:
        requirement: its key, see ``requirements.REQUIREMENTS``.
        limit: as the policy has it.
        bound: what ``value`` must be at least or at most.
        value: as measured; None where nothing was.
        low, high: the truth lies below ``low``, or above ``high``, with a probability of at most alpha each; None where
            nothing is known. Of counts, both are the value.
        chance_unchanged: probability of a change as large were nothing changed, by the sign-flip test; None where the
            requirement is about none.
        requests: turns of the workload that the runner was asked.
        worth: separate requests that the value rests on at least.
        reason: why the outcome is what it is, one sentence.
        needed: what would decide; None where decided, or where nobody can tell.
    """

    workload: str
    runner: str
    requirement: str
    limit: float
    bound: float
    outcome: Outcome
    value: float | None
    low: float | None
    high: float | None
    chance_unchanged: float | None
    requests: int
    worth: float | None
    reason: str
    needed: Needed | None

    @property
    def about(self) -> Requirement:
        """The requirement."""
        return REQUIREMENTS[self.requirement]

    @property
    def required(self) -> str:
        """What is required, in words."""
        return f"at {self.about.side} {self.about.show(self.bound)}"

    @property
    def explanation(self) -> str:
        """Why, and what would decide."""
        return self.reason if self.needed is None else f"{self.reason}; {self.needed}"

    @property
    def measured(self) -> str:
        """The measured value in words, with its bounds where it is an estimate."""
        if self.value is None:
            return "-"
        value = self.about.show(self.value)
        return f"{value} [{self.about.ends(self.low, self.high)}]" if self.about.sampled else value


@dataclass(frozen=True)
class Outlook:
    """What the gate can see of one workload: with how many requests it tells an unchanged runner from a fallen one.

    Attributes:
        margin: the smallest of the workload's margins.
        flips: share of scores that change besides, for the better or the worse: the largest that was seen.
        requests, worth: of the run.
        passes: with these an unchanged runner is found within the margin.
        fall: of accuracy.
        fails: with these such a fall is found beyond the margin, all tests of the gate allowed for; None where the
            margin allows the fall.
        power: the probability of either.
    """

    workload: str
    margin: float
    flips: float
    requests: int
    worth: float
    passes: Needed | None
    fall: float
    fails: Needed | None
    power: float

    def __str__(self) -> str:
        parts = []
        if self.passes is not None:
            parts.append(f"{self.passes.count} pass a runner, {self.passes.assuming}")
        if self.fails is not None:
            parts.append(f"{self.fails.count} fail it, {self.fails.assuming}")
        told = ", and ".join(parts) or f"no number of requests tells it at a margin of {100 * self.margin:g} points"
        return f"{self.workload}: {told}; this run has {self.requests:,} ({self.worth:.0f} sharing no media)"


@dataclass(frozen=True)
class GateResult:
    """The result of a gate.

    Attributes:
        alpha: probability of a wrong fail, over all claims together; and of a wrong pass.
        tests: claims that are tested; each of them fails only with what allows for the others.
        failed_requests: of the judged runners and the reference.
        baseline: what was compared with; None without one.
        allowed: in what the baseline differs from the run, as it was allowed to.
    """

    claims: Sequence[Claim]
    alpha: float
    tests: int
    failed_requests: int
    outlooks: Sequence[Outlook]
    baseline: str | None = None
    allowed: Sequence[str] = ()

    @property
    def outcome(self) -> Outcome:
        """Fail where any claim fails; else undecided where any is; else pass."""
        outcomes = {claim.outcome for claim in self.claims}
        return next((outcome for outcome in (Outcome.FAIL, Outcome.UNDECIDED) if outcome in outcomes), Outcome.PASS)

    def of(self, outcome: Outcome) -> list[Claim]:
        """The claims with that outcome."""
        return [claim for claim in self.claims if claim.outcome is outcome]

    @property
    def line(self) -> str:
        """All of it in one line."""
        counts = ", ".join(f"{len(self.of(outcome))} {told}" for outcome, told in _COUNTED.items() if self.of(outcome))
        failed = f"; {self.failed_requests} requests failed" if self.failed_requests else ""
        return f"the gate {_TOLD[self.outcome]}: {counts} of {len(self.claims)} requirements{failed}"

    @property
    def errors(self) -> str:
        """What alpha is about, in one sentence."""
        share = f"{100 * self.alpha:g} %"
        return (
            f"At most {share} of runs that meet all requirements fail, all {self.tests} tests together (Holm), and at "
            f"most {share} of runs that violate one pass. Each end of the bounds in brackets is wrong in {share}."
        )

    def to_json(self) -> dict[str, Any]:
        """The part ``gate`` of the document that ``--json`` prints."""
        return {"outcome": self.outcome, **asdict(self)}


_TOLD = {Outcome.PASS: "passes", Outcome.FAIL: "fails", Outcome.UNDECIDED: "is undecided"}
_COUNTED = {Outcome.FAIL: "violated", Outcome.UNDECIDED: "undecided", Outcome.PASS: "met"}
