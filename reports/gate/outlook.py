"""How many requests would decide what is undecided, and what a gate can see with those it has."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isfinite

from reports.gate.claim import Needed, Outlook
from reports.gate.question import Question
from reports.statistics.power import POWER, Decision, Truth, requests_to_decide

FALL = 0.05
ROUNDING = 1e-6
AS_SEEN = "if what was seen is the truth"


def needed(question: Question, alpha: float, tests: int) -> Needed | None:
    """What would decide an undecided question; None where nobody can tell, or where no number would."""
    evidence = question.evidence
    if evidence.value is None or evidence.bounds is None or evidence.worth is None:
        return None
    if evidence.changes is not None:
        return _of_changes(question, evidence.changes, alpha, tests)
    return _of_ends(question, evidence.value, alpha)


def outlooks(questions: Sequence[Question], alpha: float, tests: int) -> list[Outlook]:
    """What the gate can see of each workload whose accuracy it judges."""
    found: dict[str, list[Question]] = {}
    for question in questions:
        if question.requirement.key == "margin" and question.evidence.changes is not None:
            found.setdefault(question.workload, []).append(question)
    return [_outlook(workload, about, alpha, tests) for workload, about in found.items()]


def _outlook(workload: str, about: Sequence[Question], alpha: float, tests: int) -> Outlook:
    margin = min(question.limit for question in about)
    flips = _rounded(max(_flips(question, alpha) for question in about))
    least = min(about, key=lambda question: question.evidence.worth or 0.0)
    passes = requests_to_decide(Decision.WITHIN, Truth.unchanged(flips), margin, alpha)
    fails = requests_to_decide(Decision.BEYOND, Truth.fallen(FALL, flips), margin, alpha / max(1, tests))
    return Outlook(
        workload,
        margin,
        flips,
        least.requests,
        least.evidence.worth or 0.0,
        _needed(least, passes, _unchanged(flips)),
        FALL,
        _needed(least, fails, f"if accuracy falls by {100 * FALL:g} points"),
        POWER,
    )


def _of_changes(question: Question, changes: Truth, alpha: float, tests: int) -> Needed | None:
    """As many as an unchanged runner needs; where the run had those, or shows a change, what was seen asks for."""
    loss, margin = changes, -question.bound
    if question.requirement.side == "most":
        loss, margin = Truth(changes.lost, changes.gained), question.bound
    if margin <= 0:
        return None
    flips, worth = _rounded(changes.gained + changes.lost), question.evidence.worth or 0.0
    if not flips or (question.requirement.side == "least" and not _changed(question, alpha)):
        unchanged = requests_to_decide(Decision.WITHIN, Truth.unchanged(flips), margin, alpha)
        if unchanged is not None and unchanged > worth:
            return _needed(question, unchanged, _unchanged(flips))
    within = loss.gained - loss.lost > -margin
    decision, level = (Decision.WITHIN, alpha) if within else (Decision.BEYOND, alpha / max(1, tests))
    seen = requests_to_decide(decision, loss, margin, level)
    return None if seen is None else _needed(question, max(seen, ceil(worth) + 1), AS_SEEN)


def _of_ends(question: Question, value: float, alpha: float) -> Needed | None:
    """From how far the ends are off: they draw near with the root of the number of requests."""
    worth, ends = question.evidence.worth or 0.0, question.ends(alpha)
    if not isfinite(ends.low) or not isfinite(ends.high):
        fewest = question.evidence.fewest(alpha)
        return _needed(question, max(fewest, ceil(worth) + 1), "")
    off = value - question.bound
    if off == 0:
        return None
    reach = value - ends.low if off > 0 else ends.high - value
    return _needed(question, max(ceil(worth * (reach / off) ** 2), ceil(worth) + 1), AS_SEEN)


def _needed(question: Question, worth: int | None, assuming: str) -> Needed | None:
    """That many separate requests, and as many of the run's kind."""
    if worth is None or not question.evidence.worth:
        return None
    return Needed(ceil(worth * question.requests / question.evidence.worth), worth, assuming)


def _changed(question: Question, alpha: float) -> bool:
    """Whether it is clear that there is a change, however large."""
    return question.evidence.chance is not None and question.evidence.chance < alpha


def _flips(question: Question, alpha: float) -> float:
    """Share of scores that change for the better or the worse alike: all, unless there is a clear change."""
    changes = question.evidence.changes
    if changes is None:
        return 0.0
    both = 2 * min(changes.gained, changes.lost)
    return both if _changed(question, alpha) else changes.gained + changes.lost


def _rounded(flips: float) -> float:
    """Up to the next tenth of a percent."""
    return min(1.0, ceil(1000 * flips - ROUNDING) / 1000)


def _unchanged(flips: float) -> str:
    if not flips:
        return "if no score changes"
    return f"if {100 * flips:.1f} % of scores change, as many for the better as for the worse"
