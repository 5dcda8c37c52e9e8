"""An earlier run to compare with, and whether it may be compared at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from reports.run.differences import ManifestDifference, differences
from reports.run.manifest import Manifest
from reports.run.store import RunFolder
from reports.summary.row import Row
from workloads.errors import UsageError
from workloads.reading import check, keys, parse_json
from workloads.reading.regular import read_bounded

if TYPE_CHECKING:
    import pandas as pd

LARGEST_FILE = 1 << 26
LARGEST = 1e12
MOST_NAMED = 3


@keys("ignore")
@dataclass(frozen=True)
class Document:
    """What ``--json`` prints of a run, see ``forms.json``."""

    schema: Literal[1]
    manifest: dict[str, Any]
    summary: tuple[Row, ...]


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
        from reports.summary.summarise import summarise

        return Baseline(str(path), measured.manifest, _by_runner(summarise(measured, margin, alpha)), measured.frame)
    document = _load(path)
    return Baseline(str(path), Manifest.check(document.manifest, path), _by_runner(document.summary), None)


def require_comparable(now: Manifest, baseline: Baseline, allowed: Sequence[str]) -> list[ManifestDifference]:
    """Refuse to compare what is not alike, but for the kinds that are ``allowed``; returns those differences.

    Raises:
        UsageError: in one line, with every kind in which the runs differ.
    """
    differing = differences(now, baseline.manifest)
    refused = [difference for difference in differing if difference.kind not in allowed]
    if refused:
        kinds = list(dict.fromkeys(difference.kind for difference in refused))
        sentences = "; ".join(_sentence(kind, [entry for entry in refused if entry.kind == kind]) for kind in kinds)
        raise UsageError(
            f"cannot compare with {baseline.origin}: {sentences}; measure the baseline again, or add "
            f"--allow-different {','.join(kinds)}"
        )
    return differing


def _sentence(kind: str, refused: Sequence[ManifestDifference]) -> str:
    parts = [str(entry) for entry in refused[:MOST_NAMED]]
    more = f" and {len(refused) - MOST_NAMED} more" if len(refused) > MOST_NAMED else ""
    return f"{kind} differ{'s' if kind in ('model', 'device') else ''} ({', '.join(parts)}{more})"


def _load(path: Path) -> Document:
    data = parse_json(read_bounded(path, LARGEST_FILE, "summary of a run"), str(path))
    try:
        document = check(data, Document)
        for row in document.summary:
            _require_computable(row)
    except UsageError as error:
        raise UsageError(
            f"{path} is no summary of a run ({error}): give what vlcache bench --json printed, or a run folder"
        ) from error
    return document


def _require_computable(row: Row) -> None:
    """Refuse numbers that nothing could have measured; UsageError naming the column."""
    for name, value in row.to_json().items():
        if isinstance(value, int | float) and abs(value) >= LARGEST:
            raise UsageError(f"{name} of {row.runner} must be below {LARGEST:g}, not {value:g}")
    if not 0 < row.alpha < 1:
        raise UsageError(f"alpha of {row.runner} must be a number above 0 and below 1, not {row.alpha:g}")


def _by_runner(rows: Sequence[Row]) -> dict[tuple[str, str], Row]:
    return {(row.workload, row.runner): row for row in rows}
