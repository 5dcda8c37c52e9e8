"""Write down what a run that starts now is: its configuration, model, runners, machine and software."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from reports.run.manifest import SCHEMA, Manifest
from reports.run.source_commit import source_commit

LIBRARIES = ("vlcache", "torch", "transformers", "tokenizers", "safetensors", "numpy", "pillow", "pandas", "scipy")


def build_manifest(
    config: Mapping[str, Any],
    workloads: Mapping[str, str],
    model: Mapping[str, Any],
    runners: Sequence[Mapping[str, Any]],
    notes: Mapping[str, Any] | None = None,
) -> Manifest:
    """The manifest of a run that starts now.

    Args:
        config: the resolved configuration without what only concerns presentation; ``seed`` is one of its fields.
        workloads: the fingerprint of each workload's stream.
        model: ``LoadedModel.describe()`` (name, fingerprint, dtype, device, threads and more), with its ``ceilings()``.
        runners: ``Runner.describe()`` of each, in the order given: label, method, lossless and settings.
        notes: further parts of the document.
    """
    document = {
        "schema": SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": config,
        "seed": config["seed"],
        "workloads": workloads,
        "model": model,
        "runners": runners,
        "environment": environment(),
        **(notes or {}),
    }
    return Manifest.check(plain(document), "this run")


def environment() -> dict[str, Any]:
    """The machine and the software, apart from what the model's description says of its device."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "git_commit": source_commit(),
    }


def plain(value: Any) -> Any:
    """As JSON reads it back: tuples are lists, paths are texts."""
    return json.loads(json.dumps(value, default=str))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
