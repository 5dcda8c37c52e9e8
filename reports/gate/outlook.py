"""How many requests would decide what is undecided, and what a gate can see with those it has."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isfinite

from reports.gate.checks import Check
from reports.gate.claim import Needed, Outlook
from reports.statistics.power import POWER, Decision, Truth, requests_to_decide

FALL = 0.05
ROUNDING = 1e-6
AS_SEEN = "if what was seen is the truth"


def needed(check: Check, alpha: float, tests: int) -> Needed | None:
    """What would decide an undecided check; None where nobody can tell, or where no number would."""
    evidence = check.evidence
    if evidence.value is None or evidence.bounds is None or evidence.worth is None:
        return None
    if evidence.changes is not None:
        return _of_changes(check, evidence.changes, alpha, tests)
    return _of_ends(check, evidence.value, alpha)


def outlooks(checks: Sequence[Check], alpha: float, tests: int) -> list[Outlook]:
    """What the gate can see of each workload whose accuracy it judges."""
    found: dict[str, list[Check]] = {}
    for check in checks:
        if check.requirement.key == "margin" and check.evidence.changes is not None:
            found.setdefault(check.workload, []).append(check)
    return [_outlook(workload, about, alpha, tests) for workload, about in found.items()]


def _outlook(workload: str, about: Sequence[Check], alpha: float, tests: int) -> Outlook:
    margin = min(check.limit for check in about)
    flips = _rounded(max(_flips(check, alpha) for check in about))
    least = min(about, key=lambda check: check.evidence.worth or 0.0)
    passes = requests_to_decide(Decision.WITHIN, Truth.unchanged(flips), margin, alpha)
    fails = requests_to_decide(Decision.BEYOND, Truth.fallen(FALL, flips), margin, alpha / max(1, tests))
    return Outlook(
        workload,
        margin,
        flips,
        requests=least.requests,
        worth=least.evidence.worth or 0.0,
        passes=_needed(least, passes, _unchanged(flips)),
        fall=FALL,
        fails=_needed(least, fails, f"if accuracy falls by {100 * FALL:g} points"),
        power=POWER,
    )


def _of_changes(check: Check, changes: Truth, alpha: float, tests: int) -> Needed | None:
    """As many as an unchanged runner needs; where the run had those, or shows a change, what was seen asks for."""
    loss, margin = changes, -check.bound
    if check.requirement.side == "most":
        loss, margin = Truth(changes.lost, changes.gained), check.bound
    if margin <= 0:
        return None
    flips, worth = _rounded(changes.gained + changes.lost), check.evidence.worth or 0.0
    if not flips or (check.requirement.side == "least" and not _changed(check, alpha)):
        unchanged = requests_to_decide(Decision.WITHIN, Truth.unchanged(flips), margin, alpha)
        if unchanged is not None and unchanged > worth:
            return _needed(check, unchanged, _unchanged(flips))
    within = loss.gained - loss.lost > -margin
    decision, level = (Decision.WITHIN, alpha) if within else (Decision.BEYOND, alpha / max(1, tests))
    seen = requests_to_decide(decision, loss, margin, level)
    return None if seen is None else _needed(check, max(seen, ceil(worth) + 1), AS_SEEN)


def _of_ends(check: Check, value: float, alpha: float) -> Needed | None:
    """From how far the ends are off: they draw near with the root of the number of requests."""
    worth, ends = check.evidence.worth or 0.0, check.ends(alpha)
    if not isfinite(ends.low) or not isfinite(ends.high):
        fewest = check.evidence.fewest(alpha)
        return _needed(check, max(fewest, ceil(worth) + 1), "")
    off = value - check.bound
    if off == 0:
        return None
    reach = value - ends.low if off > 0 else ends.high - value
    return _needed(check, max(ceil(worth * (reach / off) ** 2), ceil(worth) + 1), AS_SEEN)


def _needed(check: Check, worth: int | None, assuming: str) -> Needed | None:
    """That many separate requests, and as many of the run's kind."""
    if worth is None or not check.evidence.worth:
        return None
    return Needed(ceil(worth * check.requests / check.evidence.worth), worth, assuming)


def _changed(check: Check, alpha: float) -> bool:
    """Whether it is clear that there is a change, however large."""
    return check.evidence.chance is not None and check.evidence.chance < alpha


def _flips(check: Check, alpha: float) -> float:
    """Share of scores that change for the better or the worse alike: all, unless there is a clear change."""
    changes = check.evidence.changes
    if changes is None:
        return 0.0
    both = 2 * min(changes.gained, changes.lost)
    return both if _changed(check, alpha) else changes.gained + changes.lost


def _rounded(flips: float) -> float:
    """Up to the next tenth of a percent."""
    return min(1.0, ceil(1000 * flips - ROUNDING) / 1000)


def _unchanged(flips: float) -> str:
    if not flips:
        return "if no score changes"
    return f"if {100 * flips:.1f} % of scores change, as many for the better as for the worse"
