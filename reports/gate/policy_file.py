"""A policy as a YAML file, checked key by key."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from reports.gate.policy import ANY, LARGEST_ALPHA, SMALLEST_ALPHA, Policy, Rule
from reports.gate.requirements import REQUIREMENTS, Limits
from reports.run.disk import read_bounded, told
from workloads.errors import UsageError, unknown_name

LARGEST_FILE = 1 << 20
LONGEST_NAME = 40


def read_policy(file: Path) -> Policy:
    """The policy in a YAML file; dashes and underscores in keys are the same.

    Raises:
        UsageError: naming the file and the first mistake, with the nearest known key where one is unknown.
    """
    origin = str(file)
    data = _load(file)
    known = ("alpha", "workloads", "runners", "rules")
    values = _keys(data, known, "policy key", origin, "an 'alpha', 'workloads', 'runners' and 'rules'")
    return Policy(
        origin=origin,
        alpha=_alpha(values["alpha"], origin) if "alpha" in values else None,
        workloads=_names(values.get("workloads", ()), f"{origin}: workloads"),
        runners=_names(values.get("runners", ()), f"{origin}: runners"),
        rules=_rules(values.get("rules", ()), origin),
    )


def _load(file: Path) -> Any:
    import yaml

    data = read_bounded(file, LARGEST_FILE, "policy")
    try:
        return yaml.safe_load(data) or {}
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise UsageError(f"{file} is not valid YAML: {' '.join(str(error).split())[:200]}") from error


def _rules(data: object, origin: str) -> tuple[Rule, ...]:
    if not isinstance(data, list | tuple):
        raise UsageError(f"{origin}: rules must be a list, not {told(data)}")
    return tuple(_rule(item, f"{origin}: rule {number}") for number, item in enumerate(data, start=1))


def _rule(data: object, origin: str) -> Rule:
    known = ("workload", "runner", *REQUIREMENTS)
    values = _keys(data, known, "requirement", origin, "requirements to numbers, such as 'margin: 0.02'")
    about = {kind: _name(values.pop(kind, ANY), f"{origin}: {kind}") for kind in ("workload", "runner")}
    if not values:
        raise UsageError(f"{origin} requires nothing: add one of {', '.join(REQUIREMENTS)}")
    limits: Limits = {}
    for key, value in values.items():
        try:
            limits[key] = REQUIREMENTS[key].read(value)
        except ValueError as error:
            raise UsageError(f"{origin}: {key} {error}") from error
    return Rule(limits, **about)


def _keys(data: object, known: Iterable[str], kind: str, origin: str, wanted: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise UsageError(f"{origin} must map {wanted}, not be {told(data)}")
    values: dict[str, Any] = {}
    for key, value in data.items():
        name = key.replace("-", "_") if isinstance(key, str) else told(key)
        if name not in known:
            raise UsageError(f"{origin}: {unknown_name(kind, name[:LONGEST_NAME], known)}")
        if name in values:
            raise UsageError(f"{origin}: '{name}' is given twice")
        values[name] = value
    return values


def _alpha(value: object, origin: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not SMALLEST_ALPHA <= value <= LARGEST_ALPHA:
        raise UsageError(
            f"{origin}: alpha must be a number from {SMALLEST_ALPHA:g} to {LARGEST_ALPHA:g}, not {told(value)}"
        )
    return float(value)


def _names(value: object, origin: str) -> tuple[str, ...]:
    items = value if isinstance(value, list | tuple) else [value]
    return tuple(_name(item, origin) for item in items)


def _name(value: object, origin: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{origin} must be a name, not {told(value)}")
    return value
