"""Saved runs as reports need them: read, checked, summarised and analysed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reports.run.changed_answers import ChangedAnswer, read_changed_answers
from reports.run.manifest import Manifest
from reports.run.measurements import Measurements
from reports.run.store import RunFolder
from reports.summary.notice import Notice
from reports.summary.row import Row
from runners.records import Record
from workloads.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from reports.summary.flips import Flip
    from reports.sweep.trade_off import TradeOff


@dataclass(frozen=True)
class Run:
    """One saved run.

    Attributes:
        label: what it is called beside others: the name of its folder, with as many parents as tell it apart.
        measured: its manifest and records.
        rows: see ``summary.summarise``.
        changed_answers: the requests where some answer differs or is missing, by workload and request.
    """

    label: str
    path: Path
    measured: Measurements
    rows: Sequence[Row]
    trade_off: TradeOff
    flips: Sequence[Flip]
    notices: Sequence[Notice]
    changed_answers: Mapping[tuple[str, str], ChangedAnswer]

    @property
    def manifest(self) -> Manifest:
        """What was run."""
        return self.measured.manifest

    @property
    def records(self) -> Sequence[Record]:
        """In the order written."""
        return self.measured.records

    @property
    def frame(self) -> pd.DataFrame:
        """The records as a table, see ``Measurements.frame``."""
        return self.measured.frame

    @property
    def reference(self) -> str:
        """The runner that the others are compared with."""
        return self.manifest.reference

    @property
    def is_sweep(self) -> bool:
        """Whether runners were expanded over recompute ratios."""
        return self.manifest.sweep is not None

    @property
    def labels(self) -> list[str]:
        """Of its runners."""
        return self.manifest.labels

    @property
    def workloads(self) -> list[str]:
        """Those that were asked so far, in order."""
        return list(dict.fromkeys(row.workload for row in self.rows))

    def rows_of(self, workload: str) -> list[Row]:
        """The summary of one workload."""
        return [row for row in self.rows if row.workload == workload]


def read_runs(paths: Sequence[Path], margin: float, alpha: float) -> list[Run]:
    """Read and analyse run folders.

    Raises:
        UsageError: a folder is given twice, holds no run, or holds one that cannot be used.
    """
    resolved = [path.resolve() for path in paths]
    for place, path in enumerate(resolved):
        if path in resolved[:place]:
            raise UsageError(f"{paths[place]} is given twice; name each run once")
    labels = _labels(resolved)
    return [_read(path, label, margin, alpha) for path, label in zip(paths, labels, strict=True)]


def _read(path: Path, label: str, margin: float, alpha: float) -> Run:
    measured = RunFolder(path).read().measurements
    if not measured.records:
        raise UsageError(f"{path} holds no records yet: let the run go on with --resume, or name another")
    from reports.summary.flips import find_flips
    from reports.summary.notices import find_notices
    from reports.summary.summarise import summarise
    from reports.sweep.trade_off import analyse

    rows = summarise(measured, margin, alpha)
    return Run(
        label=label,
        path=path,
        measured=measured,
        rows=rows,
        trade_off=analyse(rows, measured, margin, alpha),
        flips=find_flips(measured.records, measured.manifest.reference),
        notices=find_notices(measured, rows),
        changed_answers=read_changed_answers(path),
    )


def _labels(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that tell them apart, all of the same number of parts."""
    for parts in range(1, max(len(path.parts) for path in paths) + 1):
        labels = ["/".join(path.parts[-parts:]) for path in paths]
        if len(set(labels)) == len(labels):
            break
    return labels
