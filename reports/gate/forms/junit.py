"""The result of a gate as JUnit XML, which CI services show as tests: one suite per workload, one case per requirement.

What is undecided is a skipped test: neither of the two others, and JUnit has no word for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from reports.gate.claim import Claim, GateResult, Outcome
from workloads.printable import printable

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'


def to_junit(result: GateResult) -> str:
    """The document."""
    root = ElementTree.Element("testsuites", {"name": "vlcache gate", **_counts(result.claims)})
    for workload in dict.fromkeys(claim.workload for claim in result.claims):
        claims = [claim for claim in result.claims if claim.workload == workload]
        suite = ElementTree.SubElement(root, "testsuite", {"name": printable(workload), **_counts(claims)})
        for claim in claims:
            _add(suite, claim)
    ElementTree.indent(root)
    return f"{DECLARATION}\n{ElementTree.tostring(root, encoding='unicode')}\n"


def _add(suite: ElementTree.Element, claim: Claim) -> None:
    name = f"{claim.about.title} {claim.required}"
    case = ElementTree.SubElement(suite, "testcase", {"classname": printable(claim.runner), "name": printable(name)})
    text = printable(f"{claim.measured}: {claim.explanation}")
    if claim.outcome is Outcome.FAIL:
        ElementTree.SubElement(case, "failure", {"type": claim.requirement, "message": text})
    elif claim.outcome is Outcome.UNDECIDED:
        ElementTree.SubElement(case, "skipped", {"message": f"undecided: {text}"})
    ElementTree.SubElement(case, "system-out").text = text


def _counts(claims: Sequence[Claim]) -> dict[str, str]:
    outcomes = [claim.outcome for claim in claims]
    counts = {
        "tests": len(outcomes),
        "failures": outcomes.count(Outcome.FAIL),
        "skipped": outcomes.count(Outcome.UNDECIDED),
    }
    return {name: str(count) for name, count in {**counts, "errors": 0}.items()}
