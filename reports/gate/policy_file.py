"""A policy as a YAML file, checked key by key."""

from __future__ import annotations

from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Interval

from reports.gate.policy import ANY, LARGEST_ALPHA, SMALLEST_ALPHA, Policy, Rule
from reports.gate.requirements import REQUIREMENTS
from workloads.errors import UsageError
from workloads.reading import Read, Text, Texts, keys, read_yaml
from workloads.reading.regular import read_bounded

LARGEST_FILE = 1 << 20
ABSENT = object()

LIMITS = [
    (key, Annotated[Any, Read(requirement.read)], field(default=ABSENT)) for key, requirement in REQUIREMENTS.items()
]
RuleKeys: Any = keys(dashes=True, noun="requirement")(
    make_dataclass("RuleKeys", [("workload", Text, field(default=ANY)), ("runner", Text, field(default=ANY)), *LIMITS])
)
"""A rule as it is written: names, and a limit for each requirement, ``ABSENT`` where it is not there."""


@keys(dashes=True, noun="policy key")
@dataclass(frozen=True)
class PolicyKeys:
    """A policy as it is written."""

    alpha: Annotated[float, Interval(ge=SMALLEST_ALPHA, le=LARGEST_ALPHA)] | None = None
    workloads: Texts = ()
    runners: Texts = ()
    rules: tuple[RuleKeys, ...] = ()


def read_policy(file: Path) -> Policy:
    """The policy in a YAML file; dashes and underscores in keys are the same.

    Raises:
        UsageError: naming the file and the first mistake, with the nearest known key where one is unknown.
    """
    origin = str(file)
    written = read_yaml(read_bounded(file, LARGEST_FILE, "policy"), PolicyKeys | None, origin) or PolicyKeys()
    rules = tuple(_rule(rule, f"{origin}: rules[{place}]") for place, rule in enumerate(written.rules))
    return Policy(origin, written.alpha, written.workloads, written.runners, rules)


def _rule(written: Any, origin: str) -> Rule:
    limits = {key: limit for key in REQUIREMENTS if (limit := getattr(written, key)) is not ABSENT}
    if not limits:
        raise UsageError(f"{origin} requires nothing: add one of {', '.join(REQUIREMENTS)}")
    return Rule(limits, written.workload, written.runner)
