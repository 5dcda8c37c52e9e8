"""How many requests would decide what is undecided, and what a gate can see with those it has."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isfinite

from reports.gate.checks import Check
from reports.gate.claim import Outlook
from reports.statistics.needed import AS_SEEN, NO_CHANGE, Needed, needed_to_decide
from reports.statistics.power import POWER, Decision, Truth, requests_to_decide

FALL = 0.05
ROUNDING = 1e-6


def needed(check: Check, alpha: float, tests: int) -> Needed | None:
    """What would decide an undecided check; None where nobody can tell, or where no number would."""
    evidence = check.evidence
    if evidence.value is None or evidence.bounds is None:
        return None
    if evidence.changes is None:
        return _of_ends(check, evidence.value, alpha)
    changes, margin = evidence.changes, -check.bound
    if check.requirement.side == "most":
        changes, margin = changes.mirrored(), check.bound
    return needed_to_decide(changes, check.per_separate(alpha), margin, alpha, alpha / max(1, tests))


def outlooks(checks: Sequence[Check], alpha: float, tests: int) -> list[Outlook]:
    """What the gate can see of each workload whose accuracy it judges."""
    by_workload: dict[str, list[Check]] = {}
    for check in checks:
        if check.requirement.key == "margin" and check.evidence.changes is not None:
            by_workload.setdefault(check.workload, []).append(check)
    return [_outlook(workload, judged_checks, alpha, tests) for workload, judged_checks in by_workload.items()]


def _outlook(workload: str, judged_checks: Sequence[Check], alpha: float, tests: int) -> Outlook:
    margin = min(check.limit for check in judged_checks)
    flips = _rounded(max(_flips(check) for check in judged_checks))
    least = min(judged_checks, key=lambda check: check.worth(alpha) or 0.0)
    passes = requests_to_decide(Decision.WITHIN, Truth.unchanged(flips), margin, alpha)
    fails = requests_to_decide(Decision.BEYOND, Truth.fallen(FALL, flips), margin, alpha / max(1, tests))
    return Outlook(
        workload=workload,
        margin=margin,
        flips=flips,
        requests=least.requests,
        worth=least.worth(alpha) or 0.0,
        passes=_needed(least, passes, _unchanged(flips), alpha),
        fall=FALL,
        fails=_needed(least, fails, f"if accuracy falls by {100 * FALL:g} points", alpha),
        power=POWER,
    )


def _of_ends(check: Check, value: float, alpha: float) -> Needed | None:
    """From how far the ends are off: they draw near with the root of the number of requests."""
    worth, ends = check.worth(alpha) or 0.0, check.ends(alpha)
    if not isfinite(ends.low) or not isfinite(ends.high):
        fewest = check.evidence.fewest(alpha)
        return _needed(check, max(fewest, ceil(worth) + 1), "", alpha)
    off = value - check.bound
    if off == 0:
        return None
    reach = value - ends.low if off > 0 else ends.high - value
    return _needed(check, max(ceil(worth * (reach / off) ** 2), ceil(worth) + 1), AS_SEEN, alpha)


def _needed(check: Check, worth: int | None, assuming: str, alpha: float) -> Needed | None:
    """That many separate requests, and as many of the run's kind."""
    return None if worth is None or not check.worth(alpha) else Needed.of(worth, check.per_separate(alpha), assuming)


def _flips(check: Check) -> float:
    """Share of scores that change for the better or the worse alike: what went one way only is no such."""
    changes = check.evidence.changes
    return 0.0 if changes is None else 2 * min(changes.gained, changes.lost)


def _rounded(flips: float) -> float:
    """Up to the next tenth of a percent."""
    return min(1.0, ceil(1000 * flips - ROUNDING) / 1000)


def _unchanged(flips: float) -> str:
    if not flips:
        return NO_CHANGE
    return f"if {100 * flips:.1f} % of scores change, as many for the better as for the worse"
