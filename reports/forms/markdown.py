"""Runs as Markdown: the tables that people are shown, for a wiki or a comment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from reports.compare import COMPARED, Comparison, compare
from reports.forms.form import Form, ReportOptions
from reports.forms.table import heading, legend
from reports.runs import Run
from reports.summary.column import Column
from reports.summary.flips import count_flips, ledger
from reports.summary.row import COLUMNS, TABLE_COLUMNS, Row
from reports.tables.cells import cell, difference, one_line, plain_number

SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&!])")
SHOWN = {column.name: column for column in COLUMNS}


def to_markdown(runs: Sequence[Run]) -> str:
    """One section for each run and workload, with what should not be overlooked; the comparison behind, if any."""
    parts: list[str] = []
    for run in runs:
        parts += [f"# {plain(run.label)}"] if len(runs) > 1 else []
        for workload in run.workloads:
            parts += _workload(run, workload)
        head, lines = ledger(count_flips(run.flips))
        if lines:
            parts += ["## Changed answers", _table(list(map(plain, head)), [list(map(plain, line)) for line in lines])]
    if len(runs) > 1:
        parts += _comparison(compare(runs))
    first = runs[0].rows[0]
    parts += ["## How to read it"]
    parts += _bullets(plain(line) for line in legend(first.margin, first.alpha).plain.strip().splitlines())
    return "\n\n".join(parts) + "\n"


def plain(text: str) -> str:
    """A text that Markdown shows as it is, on one line."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _workload(run: Run, workload: str) -> Iterator[str]:
    rows = run.rows_of(workload)
    yield f"## {plain(heading(rows).plain)}"
    yield _table([_title(column) for column in TABLE_COLUMNS], _lines(rows, run.reference))
    choice = run.trade_off.recommended[workload]
    told = "none" if choice.runner is None else f"{plain(choice.runner)}, {choice.ttft_speedup:.2f} times as fast"
    yield f"**Recommended**: {told}; {plain(choice.reason)}"
    notices = [*run.notices, *run.trade_off.cautions]
    yield from _bullets(plain(str(notice)) for notice in notices if notice.workload == workload)


def _lines(rows: Sequence[Row], reference: str) -> Iterator[list[str]]:
    for row in rows:
        marked = replace(row, runner=f"{row.runner} *") if row.runner == reference else row
        yield [plain(cell(column, marked)) for column in TABLE_COLUMNS]


def _comparison(found: Comparison) -> Iterator[str]:
    yield "# Comparison"
    columns = [SHOWN[name] for name in COMPARED]
    head = ["workload", "runner", "run", *(part for column in columns for part in (_title(column), "less the first"))]
    lines = []
    for change in found.changes:
        told = (
            (plain_number(column, change.values[column.name]), difference(column, change.changes[column.name]))
            for column in columns
        )
        lines.append(
            [plain(change.workload), plain(change.runner), plain(change.run), *(x for pair in told for x in pair)]
        )
    yield _table(head, lines)
    yield from _bullets(plain(str(mismatch)) for mismatch in found.mismatches)


def _title(column: Column) -> str:
    return plain(one_line(column.title))


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _bullets(lines: Iterable[str]) -> list[str]:
    told = "\n".join(f"- {line}" for line in lines)
    return [told] if told else []


def _write(runs: Sequence[Run], options: ReportOptions) -> bytes:
    return to_markdown(runs).encode()


FORM = Form(".md", _write)
