"""Make flat tables of the summary, or of all records, and encode them as CSV or Parquet at full precision."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from reports.compare import CHANGE, COMPARED, compare
from reports.runs import Run
from reports.summary.row import COLUMNS
from workloads.printable import OBEYED, printable

RUN = "run"
FORMULA = re.compile(r"[\s\ufeff\u200b-\u200d\u2060]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r]")
"""What a spreadsheet takes for a formula: a sign, in its wide form too, after white space or what is not seen."""

AS_DATA = "\t\ufeff"
"""Characters that would be obeyed on a terminal, and are data in a file. A carriage return would begin a row."""


def summary_lines(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """One line for each run, workload and runner: its run, and every field of ``row.Row``.

    Of several runs, also what changed against the first: see ``compare.COMPARED``, named like ``accuracy_less_first``.
    """
    lines = [{RUN: run.label, **row.to_json()} for run in runs for row in run.rows]
    if len(runs) == 1:
        return lines
    changes = {(change.run, change.workload, change.runner): change for change in compare(runs).changes}
    for line in lines:
        change = changes[line[RUN], line["workload"], line["runner"]]
        line |= {CHANGE.format(name): change.changes[name] for name in COMPARED}
    return lines


def summary_frame(runs: Sequence[Run]) -> pd.DataFrame:
    """``summary_lines`` as a table: texts, whole numbers that may be missing, and double precision."""
    frame = pd.DataFrame(summary_lines(runs)).astype({RUN: "string"})
    kinds = {column.name: _kind(column.unit, frame[column.name]) for column in COLUMNS}
    changes = {CHANGE.format(name): "float64" for name in COMPARED if CHANGE.format(name) in frame}
    return frame.astype(kinds | changes)


def record_frame(runs: Sequence[Run]) -> pd.DataFrame:
    """One line for each run, request and runner: its run, and ``frame.FRAME_COLUMNS``."""
    frames = []
    for run in runs:
        frame = run.frame.copy()
        frame.insert(0, RUN, run.label)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def to_csv(frame: pd.DataFrame) -> str:
    """A table as CSV: numbers so that they read back equal, nothing for what is undefined.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(frame.columns)
    columns = [frame[name].astype(object).where(frame[name].notna(), None).tolist() for name in frame]
    writer.writerows([_plain(value) for value in line] for line in zip(*columns, strict=True))
    return out.getvalue()


def to_parquet(frame: pd.DataFrame) -> bytes:
    """A table as Parquet."""
    out = io.BytesIO()
    frame.to_parquet(out, engine="pyarrow", compression="zstd", index=False)
    return out.getvalue()


def _kind(unit: str, values: pd.Series[Any]) -> str:
    if not unit:
        return "string"
    whole = unit == "count" and all(isinstance(value, int) for value in values.dropna().astype(object))
    return "Int64" if whole and values.notna().any() else "float64"


def _plain(value: Any) -> Any:
    """A cell: of a text no formula, and nothing that a terminal would obey but white space."""
    if not isinstance(value, str):
        return value
    shown = OBEYED.sub(lambda found: found[0] if found[0] in AS_DATA else printable(found[0]), value)
    return f"'{shown}" if FORMULA.match(value) else shown
