"""Runs side by side: what changed against the first one, and why the comparison may be unfair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reports.run.differences import differences
from reports.runs import Run

COMPARED = ("accuracy", "ttft_speedup", "kv_hit_rate")
CHANGE = "{}_less_first"

Values = Mapping[str, float | None]


@dataclass(frozen=True)
class Mismatch:
    """Something in which a run differs from the first; ``kind`` is one of ``baseline.KINDS``."""

    run: str
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.run} differs in {self.kind}: {self.text}"


@dataclass(frozen=True)
class Change:
    """One runner on one workload in one run.

    Attributes:
        values: of ``COMPARED``, None where undefined.
        changes: values less those of the first run; None where either is undefined, and in the first run.
    """

    run: str
    workload: str
    runner: str
    values: Values
    changes: Values


@dataclass(frozen=True)
class Comparison:
    """All runs against the first, by workload and runner, in the order in which they first occur."""

    runs: tuple[str, ...]
    changes: Sequence[Change]
    mismatches: Sequence[Mismatch]

    def grouped(self) -> dict[str, dict[str, list[Change]]]:
        """The changes by workload and runner."""
        groups: dict[str, dict[str, list[Change]]] = {}
        for change in self.changes:
            groups.setdefault(change.workload, {}).setdefault(change.runner, []).append(change)
        return groups


def compare(runs: Sequence[Run]) -> Comparison:
    """Compare runs with the first of them. Speed-ups are each run's own ratios: no times are compared."""
    first = {(row.workload, row.runner): row for row in runs[0].rows}
    changes: dict[tuple[str, str], list[Change]] = {}
    for run in runs:
        for row in run.rows:
            key = row.workload, row.runner
            values = {name: getattr(row, name) for name in COMPARED}
            then = first.get(key) if run is not runs[0] else None
            known = {name: getattr(then, name, None) for name in COMPARED}
            less = {name: _less(values[name], known[name]) for name in COMPARED}
            changes.setdefault(key, []).append(Change(run.label, *key, values, less))
    return Comparison(
        tuple(run.label for run in runs),
        [change for of_runner in changes.values() for change in of_runner],
        [mismatch for run in runs[1:] for mismatch in _mismatches(runs[0], run)],
    )


def _mismatches(first: Run, run: Run) -> Iterator[Mismatch]:
    """All but runners that only one of both has: the table shows these anyway."""
    for difference in differences(run.manifest, first.manifest, shared_runners=True):
        yield Mismatch(run.label, difference.kind, str(difference))


def _less(value: float | None, first: float | None) -> float | None:
    return None if value is None or first is None else value - first
