"""The result of a gate as GitHub's workflow commands, which a run of Actions shows beside its steps."""

from __future__ import annotations

from reports.gate.claim import Claim, GateResult, Outcome
from workloads.printable import printable

MOST = 10  # of each level; GitHub shows no more of a step
LEVELS = {Outcome.FAIL: "error", Outcome.UNDECIDED: "warning"}


def to_annotations(result: GateResult) -> list[str]:
    """One line for each requirement that is violated or undecided, the violated ones first."""
    return [
        _command(level, f"{claim.workload}, {claim.runner}", _sentence(claim))
        for outcome, level in LEVELS.items()
        for claim in result.of(outcome)[:MOST]
    ]


def _sentence(claim: Claim) -> str:
    return f"{claim.about.title} {claim.measured}, required {claim.required}: {claim.explanation}"


def _command(level: str, title: str, message: str) -> str:
    """See GitHub's documentation on workflow commands; what would end a command or a property is encoded."""
    name = _encoded(f"vlcache gate: {title}").replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={name}::{_encoded(message)}"


def _encoded(text: str) -> str:
    return printable(text).replace("%", "%25").replace("\n", "%0A")
