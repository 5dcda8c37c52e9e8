"""An earlier run to compare with, and whether it may be compared at all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from reports.run.differences import Difference, differences
from reports.run.disk import read_bounded
from reports.run.manifest import Manifest
from reports.run.store import RunFolder
from reports.summary.row import Row
from reports.summary.summarise import summarise
from workloads.errors import UsageError

LARGEST_FILE = 1 << 26
SHOWN = 3


@dataclass(frozen=True)
class Baseline:
    """What was measured before.

    Attributes:
        origin: the file or folder.
        rows: its summary, by workload and runner.
        frame: its records (``frame.FRAME_COLUMNS``), which can be paired request by request; None of a summary alone.
    """

    origin: str
    manifest: Manifest
    rows: Mapping[tuple[str, str], Row]
    frame: pd.DataFrame | None

    def same_requests(self, workload: str, manifest: Manifest) -> bool:
        """Whether both runs were asked just the same."""
        then, now = (about.workloads.get(workload) for about in (self.manifest, manifest))
        return then is not None and then == now


def read_baseline(path: Path, margin: float, alpha: float) -> Baseline:
    """A run folder, or the JSON document that ``--json`` printed of a run: of ``bench``, ``sweep`` or ``gate``.

    Raises:
        UsageError: it is neither.
    """
    if path.is_dir():
        measured = RunFolder(path).read().measurements
        return Baseline(str(path), measured.manifest, _by_runner(summarise(measured, margin, alpha)), measured.frame)
    document = _load(path)
    manifest, summary = document.get("manifest"), document.get("summary")
    if not isinstance(manifest, dict) or not isinstance(summary, list):
        raise _no_summary(path)
    rows = [_row(row, path) for row in summary]
    return Baseline(str(path), Manifest.check(manifest, path), _by_runner(rows), None)


def require_comparable(now: Manifest, baseline: Baseline, allowed: Sequence[str]) -> list[Difference]:
    """Refuse to compare what is not alike, but for the kinds that are ``allowed``; returns those differences.

    Raises:
        UsageError: in one line, with every kind in which the runs differ.
    """
    found = differences(now, baseline.manifest)
    refused = [difference for difference in found if difference.kind not in allowed]
    if refused:
        kinds = list(dict.fromkeys(difference.kind for difference in refused))
        told_of = "; ".join(_sentence(kind, [entry for entry in refused if entry.kind == kind]) for kind in kinds)
        raise UsageError(
            f"cannot compare with {baseline.origin}: {told_of}; measure the baseline again, or add "
            f"--allow-different {','.join(kinds)}"
        )
    return found


def _sentence(kind: str, found: Sequence[Difference]) -> str:
    parts = [str(entry) for entry in found[:SHOWN]]
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return f"{kind} differ{'s' if kind in ('model', 'device') else ''} ({', '.join(parts)}{more})"


def _load(path: Path) -> dict[str, Any]:
    data = read_bounded(path, LARGEST_FILE, "summary of a run")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not valid JSON ({error}): give what vlcache bench --json printed") from error
    if not isinstance(document, dict) or document.get("schema") != 1:
        raise _no_summary(path)
    return document


def _row(data: object, path: Path) -> Row:
    try:
        return Row.from_json(data)
    except ValueError as error:
        raise _no_summary(path) from error


def _no_summary(path: Path) -> UsageError:
    return UsageError(f"{path} is no summary of a run: give what vlcache bench --json printed, or a run folder")


def _by_runner(rows: Sequence[Row]) -> dict[tuple[str, str], Row]:
    return {(row.workload, row.runner): row for row in rows}
