"""Is a manifest good enough to work with? One edited by hand, or by nobody of ours, may lack what all reports need."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workloads.errors import UsageError

NEEDED: tuple[tuple[str, type], ...] = (("config", dict), ("workloads", dict), ("model", dict), ("runners", list))
NEEDED_OF_MODEL = ("name", "device", "dtype")
OF_RUNNER: tuple[tuple[str, type], ...] = (("label", str), ("method", str), ("lossless", bool))


def require_usable(origin: Path, manifest: Mapping[str, Any]) -> None:
    """Check the parts of a manifest that are read everywhere.

    Raises:
        UsageError: naming ``origin``, and what is missing or is something else.
    """
    for name, kind in NEEDED:
        if not isinstance(manifest.get(name), kind):
            raise UsageError(f"{origin}: its manifest lacks '{name}'; the run cannot be used")
    environment = manifest.get("environment", {})
    if not isinstance(environment, dict) or not isinstance(environment.get("libraries", {}), dict):
        raise UsageError(f"{origin}: its manifest describes no environment; the run cannot be used")
    if not isinstance(manifest["config"].get("reference"), str):
        raise UsageError(f"{origin}: its manifest lacks 'config.reference'; the run cannot be used")
    for name in NEEDED_OF_MODEL:
        if not isinstance(manifest["model"].get(name), str):
            raise UsageError(f"{origin}: its manifest lacks 'model.{name}'; the run cannot be used")
    for runner in manifest["runners"]:
        if not isinstance(runner, dict) or not all(isinstance(runner.get(name), kind) for name, kind in OF_RUNNER):
            told = ", ".join(name for name, _ in OF_RUNNER)
            raise UsageError(f"{origin}: its manifest describes a runner without one of {told}; the run cannot be used")
        if not isinstance(runner.get("options", {}), dict):
            raise UsageError(
                f"{origin}: its manifest describes a runner's options as no mapping; the run cannot be used"
            )
    if not _tells_a_sweep(manifest.get("sweep", {})):
        raise UsageError(f"{origin}: its manifest describes no sweep under 'sweep'; the run cannot be used")


def _tells_a_sweep(told: object) -> bool:
    """Whether every runner in it has a family, and a ratio or None."""
    runners = told.get("runners", {}) if isinstance(told, dict) else None
    return isinstance(runners, dict) and all(
        isinstance(about, dict)
        and isinstance(about.get("family"), str)
        and isinstance(about.get("ratio"), int | float | None)
        for about in runners.values()
    )
