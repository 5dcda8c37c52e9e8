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
from reports.run.frame import to_frame
from reports.run.store import RunFolder
from reports.run.usable import require_usable
from reports.summary.summarise import Row, summarise
from workloads.errors import UsageError

LARGEST_FILE = 1 << 26
NUMBERS = (
    "alpha",
    "accuracy_delta",
    "accuracy_delta_ci_low",
    "accuracy_delta_ci_high",
    "ttft_speedup",
    "ttft_speedup_ci_low",
    "ttft_speedup_ci_high",
    "media_hit_rate_recurring",
    "recompute_ratio",
)
SHOWN = 3
LARGEST = 1e12


@dataclass(frozen=True)
class Baseline:
    """What was measured before.

    Attributes:
        origin: the file or folder.
        rows: its summary, by workload and runner.
        frame: its records (``frame.FRAME_COLUMNS``), which can be paired request by request; None of a summary alone.
    """

    origin: str
    manifest: Mapping[str, Any]
    rows: Mapping[tuple[str, str], Row]
    frame: pd.DataFrame | None

    def same_requests(self, workload: str, manifest: Mapping[str, Any]) -> bool:
        """Whether both runs were asked just the same."""
        then, now = (about["workloads"].get(workload) for about in (self.manifest, manifest))
        return then is not None and then == now


def read_baseline(path: Path, margin: float, alpha: float) -> Baseline:
    """A run folder, or the JSON document that ``--json`` printed of a run: of ``bench``, ``sweep`` or ``gate``.

    Raises:
        UsageError: it is neither.
    """
    if path.is_dir():
        saved = RunFolder(path).read()
        require_usable(path, saved.manifest)
        records = list(saved.records.values())
        measured = summarise(records, saved.manifest, margin, alpha)
        return Baseline(str(path), saved.manifest, _by_runner(measured), to_frame(records))
    document = _load(path)
    manifest, rows = document.get("manifest"), document.get("summary")
    if not isinstance(manifest, dict) or not isinstance(rows, list) or not all(map(_is_row, rows)):
        raise UsageError(f"{path} is no summary of a run: give what vlcache bench --json printed, or a run folder")
    require_usable(path, manifest)
    return Baseline(str(path), manifest, _by_runner(rows), None)


def require_comparable(now: Mapping[str, Any], baseline: Baseline, allowed: Sequence[str]) -> list[Difference]:
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
        raise UsageError(f"{path} is no summary of a run: give what vlcache bench --json printed, or a run folder")
    return document


def _is_row(row: object) -> bool:
    if not isinstance(row, dict) or not all(isinstance(row.get(name), str) for name in ("workload", "runner")):
        return False
    alpha = row.get("alpha")
    return all(_is_number(row.get(name)) for name in NUMBERS) and (alpha is None or 0 < alpha < 1)


def _is_number(value: object) -> bool:
    """Whether it is undefined, or a number that can be computed with."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST)


def _by_runner(rows: Sequence[Row]) -> dict[tuple[str, str], Row]:
    return {(row["workload"], row["runner"]): row for row in rows}
