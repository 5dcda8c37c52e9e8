"""Find the highest rate up to which a runner keeps what is asked of it: the knee of a sweep over rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from reports.run.descriptions import AtRate
from reports.summary.row import Row

KEPT = 0.99  # share of answers that keep the objective, up to the knee
SLOWER = 2.0  # times the time to first token at the lowest rate, likewise, where there is no objective


@dataclass(frozen=True)
class Knee:
    """The highest rate up to which a runner keeps what is asked of it at every rate; None where not even the lowest.

    Attributes:
        is_bound: whether it was the client that could not go on.
    """

    family: str
    rate: float | None
    is_bound: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return asdict(self)


def curves(rows: Sequence[Row], rates: Mapping[str, AtRate]) -> dict[str, list[tuple[float, Row]]]:
    """The rows of one workload by family, with their rates, ascending."""
    found: dict[str, list[tuple[float, Row]]] = {}
    for row in rows:
        if row.runner in rates:
            found.setdefault(rates[row.runner].family, []).append((rates[row.runner].rate, row))
    return {family: sorted(curve, key=lambda place: place[0]) for family, curve in found.items()}


def knees(rows: Sequence[Row], rates: Mapping[str, AtRate], bound: Mapping[tuple[str, str], str]) -> list[Knee]:
    """Find the knee of every family of one workload's rows.

    Args:
        bound: rows that measure the client, by workload and runner, see ``reports.summary.load.client_bound``.
    """
    return [_knee(family, curve, bound) for family, curve in curves(rows, rates).items()]


def _knee(family: str, curve: Sequence[tuple[float, Row]], bound: Mapping[tuple[str, str], str]) -> Knee:
    found: float | None = None
    for rate, row in curve:
        if (row.workload, row.runner) in bound:
            return Knee(family, found, is_bound=True)
        if not _holds(row, curve[0][1]):
            break
        found = rate
    return Knee(family, found)


def _holds(row: Row, lowest: Row) -> bool:
    """Whether a runner keeps up: hardly a request fails, and what is answered is in time."""
    if 1 - row.failed / row.requests < KEPT:
        return False
    if row.slo_share is not None:
        return row.slo_share >= KEPT
    if row.ttft_ms_p50 is None or lowest.ttft_ms_p50 is None:
        return False
    return row.ttft_ms_p50 <= SLOWER * lowest.ttft_ms_p50
