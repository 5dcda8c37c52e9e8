"""What a run was: everything needed to judge, repeat or resume it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from workloads.errors import UsageError

SCHEMA = 1
LIBRARIES = ("vlcache", "torch", "transformers", "tokenizers", "safetensors", "numpy", "pillow", "pandas", "scipy")
MODEL_IDENTITY = ("fingerprint", "profile", "dtype", "device")

Manifest = dict[str, Any]


def build_manifest(
    config: Mapping[str, Any],
    workloads: Mapping[str, str],
    model: Mapping[str, Any],
    runners: Sequence[Mapping[str, Any]],
) -> Manifest:
    """The manifest of a run that starts now, as plain JSON types.

    Args:
        config: the resolved configuration without what only concerns presentation; ``seed`` is one of its fields.
        workloads: the fingerprint of each workload's stream.
        model: ``LoadedModel.describe()`` (name, fingerprint, dtype, device, threads and what else it tells), with its
            ``ceilings()``.
        runners: ``Runner.describe()`` of each, in the order given: label, method, lossless and settings.
    """
    manifest: Manifest = {
        "schema": SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": config,
        "seed": config["seed"],
        "workloads": workloads,
        "model": model,
        "runners": runners,
        "environment": environment(),
    }
    plain: Manifest = _plain(manifest)
    return plain


def environment() -> dict[str, Any]:
    """The machine and the software, apart from what the model's description says of its device."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "git_commit": git_commit(),
    }


def git_commit() -> str | None:
    """The commit checked out in the working directory, ``-dirty`` when files differ from it; None outside of git."""
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def require_same(run: Path, field: str, saved: Any, now: Any) -> None:
    """Check that a run in folder ``run`` may be continued: ``saved`` (from its manifest) equals ``now``.

    Raises:
        UsageError: naming the first field that differs, with both values.
    """
    difference = _first_difference(field, saved, _plain(now))
    if difference is None:
        return
    name, old, new = difference
    raise UsageError(
        f"cannot resume {run}: {name} was {_show(old)} and is now {_show(new)}; "
        "use the same options, or start another run with another --output"
    )


def require_same_model(run: Path, saved: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """``require_same`` for model descriptions, of which only the identity counts."""
    for name in MODEL_IDENTITY:
        require_same(run, f"model.{name}", saved[name], now[name])


def _first_difference(name: str, old: Any, new: Any) -> tuple[str, Any, Any] | None:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            found = _first_difference(f"{name}.{key}", old.get(key), new.get(key))
            if found is not None:
                return found
        return None
    return None if old == new else (name, old, new)


def _show(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """As JSON reads it back: tuples are lists, paths are texts."""
    return json.loads(json.dumps(value, default=str))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
