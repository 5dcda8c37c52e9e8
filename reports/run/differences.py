"""Differences between the manifests of two runs: model, workloads, device, libraries, runners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.run.disk import told

MODEL = ("fingerprint", "processor", "profile", "dtype", "attention")
DEVICE = ("device", "device_name", "threads", "cuda")
RUNNER = ("method", "options", "budget_bytes")
KINDS = ("model", "workloads", "device", "libraries", "runners")
LONGEST_SHOWN = 24
_MISSING = object()


@dataclass(frozen=True)
class Difference:
    """One thing in which two runs are not alike; ``kind`` is one of ``KINDS``."""

    kind: str
    name: str
    then: object
    now: object

    def __str__(self) -> str:
        return f"{self.name} was {_short(self.then)} and is {_short(self.now)}"


def differences(now: Mapping[str, Any], then: Mapping[str, Any]) -> list[Difference]:
    """Where the manifests of two runs say that something else was measured, or elsewhere."""
    return [
        *_compare("model", _pick(then["model"], MODEL), _pick(now["model"], MODEL)),
        *_compare("workloads", then["workloads"], now["workloads"]),
        *_compare("device", _pick(then["model"], DEVICE), _pick(now["model"], DEVICE)),
        *_compare("libraries", _libraries(then), _libraries(now)),
        *_compare("runners", _runners(then), _runners(now)),
    ]


def _short(value: object) -> str:
    if value is _MISSING:
        return "not there"
    return value[:LONGEST_SHOWN] if isinstance(value, str) else told(value)


def _compare(kind: str, then: Mapping[str, object], now: Mapping[str, object]) -> list[Difference]:
    before, after = _flat(then), _flat(now)
    pairs = ((name, before.get(name, _MISSING), after.get(name, _MISSING)) for name in {**before, **after})
    return [Difference(kind, name, old, new) for name, old, new in pairs if old != new]


def _flat(values: Mapping[str, object]) -> dict[str, object]:
    """Values within values under the names of both, joined by a dot."""
    found: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, dict) and value:
            found |= {f"{name}.{inner}": entry for inner, entry in _flat(value).items()}
        else:
            found[str(name)] = value
    return found


def _pick(about: Mapping[str, Any], names: Sequence[str]) -> dict[str, object]:
    return {name: about[name] for name in names if name in about}


def _libraries(manifest: Mapping[str, Any]) -> dict[str, object]:
    return dict(manifest.get("environment", {}).get("libraries", {}))


def _runners(manifest: Mapping[str, Any]) -> dict[str, object]:
    """What each runner was told, by its label, and which is the reference."""
    told_to: dict[str, object] = {runner["label"]: _pick(runner, RUNNER) for runner in manifest["runners"]}
    return {**told_to, "the reference": manifest["config"]["reference"]}
