"""Records as a table: one line per request and runner."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

import pandas as pd

from runners.records import CacheStats, Demand, Record, Repair, Status, Timing

IDENTITY = ("workload", "request", "runner", "cluster_id", "family", "order", "warmth", "recurring_media")
MEASURES = ("content_share", "score", "official_score", "kl", "agrees", "peak_bytes")
MEASURED = tuple(entry.name for part in (Timing, CacheStats, Demand) for entry in fields(part))
TIMES = [entry.name for entry in fields(Timing)]
REPAIR = tuple(f"repair_{entry.name}" for entry in fields(Repair))
FLAGS = ("ok", "parse_failed")
FRAME_COLUMNS = (*IDENTITY, "status", *FLAGS, *MEASURES, *MEASURED, *REPAIR)


def to_frame(records: Iterable[Record]) -> pd.DataFrame:
    """The records as ``FRAME_COLUMNS``.

    A failed request keeps its identity and scores 0; its time and cache numbers are NaN, whatever was measured. A
    request without a gold answer has no score, failed or not.
    ``fallbacks`` is how many reasons to compute instead of reusing were given.
    """
    frame = pd.DataFrame([_line(record) for record in records], columns=list(FRAME_COLUMNS))
    numbers = [*MEASURES, *MEASURED, *REPAIR]
    return frame.astype(dict.fromkeys(numbers, "float64") | dict.fromkeys(FLAGS, "bool"))


def without_times(frame: pd.DataFrame, runners: Sequence[str]) -> pd.DataFrame:
    """A copy in which these runners have no times: those of methods that look at what they are to save mean nothing."""
    copy = frame.copy()
    copy.loc[copy["runner"].isin(runners), TIMES] = float("nan")
    return copy


def _line(record: Record) -> dict[str, Any]:
    ok = record.status is Status.OK
    line: dict[str, Any] = {name: getattr(record, name) for name in IDENTITY}
    line |= {"warmth": record.warmth.value, "status": record.status.value, "ok": ok}
    line |= {name: getattr(record, name) for name in (*MEASURES, "parse_failed")}
    if not ok and record.score is not None:
        line["score"] = 0.0
    if ok and record.timing is not None:
        line |= vars(record.timing)
    if ok and record.cache is not None:
        line |= vars(record.cache) | {"fallbacks": len(record.cache.fallbacks)}
    if ok and record.demand is not None:
        line |= vars(record.demand)
    if ok and record.repair is not None:
        line |= {f"repair_{name}": value for name, value in vars(record.repair).items()}
    return line
