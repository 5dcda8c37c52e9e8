"""Check that a saved run may be continued: the same configuration, workloads and model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reports.run.new_manifest import plain
from workloads.errors import UsageError

MODEL_IDENTITY = ("fingerprint", "profile", "dtype", "device")


def require_same(run: Path, field: str, saved: Any, now: Any) -> None:
    """Check that a run in folder ``run`` may be continued: ``saved`` (from its manifest) equals ``now``.

    Raises:
        UsageError: naming the first field that differs, with both values.
    """
    difference = _first_difference(field, saved, plain(now))
    if difference is None:
        return
    name, old, new = difference
    raise UsageError(
        f"cannot resume {run}: {name} was {_as_json(old)} and is now {_as_json(new)}; "
        "use the same options, or start another run with another --output"
    )


def require_same_model(run: Path, saved: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """``require_same`` for model descriptions, of which only the identity counts."""
    for name in MODEL_IDENTITY:
        require_same(run, f"model.{name}", saved.get(name), now[name])


def _first_difference(name: str, old: Any, new: Any) -> tuple[str, Any, Any] | None:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            difference = _first_difference(f"{name}.{key}", old.get(key), new.get(key))
            if difference is not None:
                return difference
        return None
    return None if old == new else (name, old, new)


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
