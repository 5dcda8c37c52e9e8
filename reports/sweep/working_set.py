"""Find up to how many distinct media a runner's caches pay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from reports.summary.row import Row

PAYS = 1.05  # times as fast as the reference, all requests together, cold ones among them


@dataclass(frozen=True)
class BreakEven:
    """The largest number of distinct media up to which a runner pays at every number; None where it never does."""

    runner: str
    distinct: int | None

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return asdict(self)


def break_even(rows: Mapping[int, Sequence[Row]]) -> list[BreakEven]:
    """Find for each runner but the reference where it stops to pay.

    Args:
        rows: of one workload, the reference's first, by the number of distinct media.
    """
    found = []
    for runner, curve in curves(rows).items():
        largest = None
        for distinct, row in curve:
            if row.ttft_speedup_total is None or row.ttft_speedup_total < PAYS:
                break
            largest = distinct
        found.append(BreakEven(runner, largest))
    return found


def curves(rows: Mapping[int, Sequence[Row]]) -> dict[str, list[tuple[int, Row]]]:
    """Numbers and rows of each runner but the reference, by number."""
    found: dict[str, list[tuple[int, Row]]] = {}
    for distinct in sorted(rows):
        for row in rows[distinct][1:]:
            found.setdefault(row.runner, []).append((distinct, row))
    return found
