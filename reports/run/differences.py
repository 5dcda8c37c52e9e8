"""Differences between the manifests of two runs: model, workloads, device, libraries, runners."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.run.manifest import Manifest
from workloads.reading.mistakes import brief

MODEL = ("fingerprint", "processor", "profile", "dtype", "attention")
DEVICE = ("device", "device_name", "threads", "cuda")
RUNNER = ("method", "options", "budget_bytes")
SERVER = ("served", "version")
KINDS = ("model", "workloads", "device", "libraries", "runners")
LONGEST_SHOWN = 24
_MISSING = object()


@dataclass(frozen=True)
class ManifestDifference:
    """One thing in which two runs are not alike; ``kind`` is one of ``KINDS``."""

    kind: str
    name: str
    then: object
    now: object

    def __str__(self) -> str:
        return f"{self.name} was {_short(self.then)} and is {_short(self.now)}"


def differences(now: Manifest, then: Manifest, shared_runners: bool = False) -> list[ManifestDifference]:
    """Where the manifests of two runs say that something else was measured, or elsewhere.

    ``shared_runners``: leave out the runners that only one of both has.
    """
    labels = set(now.labels) & set(then.labels) if shared_runners else {*now.labels, *then.labels}
    return [
        *_compare("model", _pick(then.document["model"], MODEL), _pick(now.document["model"], MODEL)),
        *_compare("workloads", then.workloads, now.workloads),
        *_compare("device", _pick(then.document["model"], DEVICE), _pick(now.document["model"], DEVICE)),
        *_compare("libraries", then.environment.libraries, now.environment.libraries),
        *_compare("runners", _runners(then, labels), _runners(now, labels)),
    ]


def _short(value: object) -> str:
    if value is _MISSING:
        return "not there"
    return value[:LONGEST_SHOWN] if isinstance(value, str) else brief(value)


def _compare(kind: str, then: Mapping[str, object], now: Mapping[str, object]) -> list[ManifestDifference]:
    before, after = _flat(then), _flat(now)
    pairs = ((name, before.get(name, _MISSING), after.get(name, _MISSING)) for name in {**before, **after})
    return [ManifestDifference(kind, name, old, new) for name, old, new in pairs if old != new]


def _flat(values: Mapping[str, object]) -> dict[str, object]:
    """Values within values under the names of both, joined by a dot."""
    flat: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, dict) and value:
            flat |= {f"{name}.{inner}": entry for inner, entry in _flat(value).items()}
        else:
            flat[str(name)] = value
    return flat


def _pick(about: Mapping[str, Any], names: Sequence[str]) -> dict[str, object]:
    return {name: about[name] for name in names if name in about}


def _runners(manifest: Manifest, labels: Container[str]) -> dict[str, object]:
    """The settings of each runner, by its label, and which is the reference."""
    settings: dict[str, object] = {
        runner["label"]: _pick(runner, RUNNER) | _server(runner)
        for runner in manifest.document["runners"]
        if runner["label"] in labels
    }
    return {**settings, "the reference": manifest.reference}


def _server(runner: Mapping[str, Any]) -> dict[str, object]:
    """What a server is; nothing of other runners."""
    server = runner.get("server")
    return {"server": _pick(server, SERVER)} if isinstance(server, dict) else {}
