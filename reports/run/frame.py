"""Records as a table: one line per request and runner."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd

from runners.records import CacheStats, Demand, Load, Record, Repair, Served, Status, Timing

IDENTITY = ("workload", "request", "runner", "cluster_id", "family", "order", "warmth", "recurring_media")
MEASURES = ("content_share", "score", "official_score", "kl", "agrees", "peak_bytes")
FIELDS: dict[type, list[str]] = {
    part: [entry.name for entry in fields(part)] for part in (Timing, CacheStats, Demand, Repair, Load)
}
MEASURED = (*FIELDS[Timing], *FIELDS[CacheStats], *FIELDS[Demand])
TIMES = FIELDS[Timing]
REPAIR = tuple(f"repair_{name}" for name in FIELDS[Repair])
TOLD = (
    "media",
    "prompt_tokens",
    "output_tokens",
    "cached_tokens",
    "prefix_tokens",
    "preprocessing_hits",
    "encoder_hits",
    "kv_tokens",
    "unseen_mass",
)
LOAD = tuple(f"load_{name}" for name in FIELDS[Load])
SERVED = tuple(f"served_{name}" for name in TOLD)
FLAGS = ("ok", "parse_failed", "invalid")
NUMBERS = (*MEASURES, *MEASURED, *REPAIR, *SERVED, *LOAD, "tokens")
FALLBACKS = NUMBERS.index("fallbacks")
FRAME_COLUMNS = (*IDENTITY, "status", *FLAGS, *MEASURES, *MEASURED, *REPAIR, *SERVED, *LOAD, "tokens")


def to_frame(records: Iterable[Record]) -> pd.DataFrame:
    """The records as ``FRAME_COLUMNS``.

    A failed request keeps its identity and scores 0; its time and cache numbers are NaN, whatever was measured. A
    request without a gold answer has no score, failed or not.
    An invalid record keeps its identity and no number: it is no evidence for anything.
    ``fallbacks`` is how many reasons to compute instead of reusing were given.
    """
    rows = list(records)
    numbers = np.full((len(NUMBERS), len(rows)), np.nan)
    for place, record in enumerate(rows):
        numbers[:, place] = _numbers(record)
    columns: dict[str, Any] = {name: [getattr(record, name) for record in rows] for name in IDENTITY}
    columns |= {"warmth": [record.warmth.value for record in rows], "status": [record.status.value for record in rows]}
    columns |= {"ok": np.array([record.status is Status.OK for record in rows], bool)}
    columns |= {"parse_failed": np.array([record.parse_failed for record in rows], bool)}
    columns |= {"invalid": np.array([record.invalid is not None for record in rows], bool)}
    columns |= dict(zip(NUMBERS, numbers, strict=True))
    frame = pd.DataFrame(columns, columns=list(FRAME_COLUMNS))
    return frame if rows else frame.astype(dict.fromkeys((*IDENTITY, "status"), "object"))


def without_times(frame: pd.DataFrame, runners: Sequence[str]) -> pd.DataFrame:
    """A copy in which these runners have no times: those of methods that look at what they are to save mean nothing."""
    copy = frame.copy()
    copy.loc[copy["runner"].isin(runners), TIMES] = float("nan")
    return copy


def _numbers(record: Record) -> list[float | None]:
    """What ``NUMBERS`` names, of one record."""
    ok = record.status is Status.OK
    if record.invalid is not None:
        return [None] * len(NUMBERS)
    values: list[float | None] = [getattr(record, name) for name in MEASURES]
    if not ok and record.score is not None:
        values[MEASURES.index("score")] = 0.0
    for part, kind in ((record.timing, Timing), (record.cache, CacheStats), (record.demand, Demand)):
        values += _values(part if ok else None, kind)
    if ok and record.cache is not None:
        values[FALLBACKS] = len(record.cache.fallbacks)
    values += _values(record.repair if ok else None, Repair)
    values += _told(record.served if ok else None)
    return [*values, *_values(record.load, Load), _tokens(record) if ok else None]


def _tokens(record: Record) -> int | None:
    """Tokens of the answer: our own, or as the server counts them; None where it does not."""
    return len(record.token_ids) or (None if record.served is None else record.served.output_tokens)


def _told(served: Served | None) -> list[float | None]:
    """What ``TOLD`` names; None for each where no server answered."""
    return [None if served is None else getattr(served, name) for name in TOLD]


def _values(part: object, kind: type) -> list[Any]:
    """The values of all fields of a part of a record; None for each where there is no such part."""
    names = FIELDS[kind]
    return [None] * len(names) if part is None else [getattr(part, name) for name in names]
