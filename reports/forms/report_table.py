"""Saved runs as tables for people: those of ``bench`` and ``sweep``, and of several runs what changed."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from reports.compare import COMPARED, Comparison, compare
from reports.forms import sweep_table as sweep_tables
from reports.forms import table as tables
from reports.forms.form import Form, ReportOptions
from reports.runs import Run
from reports.summary.flips import count_flips, ledger
from reports.summary.row import COLUMNS
from reports.tables.cells import difference, plain_number

SHOWN = {column.name: column for column in COLUMNS}


def render(runs: Sequence[Run]) -> Group:
    """Everything, readable at ``tables.WIDTH`` characters."""
    parts: list[RenderableType] = []
    for run in runs:
        parts += [Text(f"\n{run.label}", style="bold underline")] if len(runs) > 1 else []
        parts += [_run(run), *_ledger(run)]
    if len(runs) > 1:
        parts += _comparison(compare(runs))
    return Group(*parts)


def _run(run: Run) -> RenderableType:
    if run.is_sweep:
        return sweep_tables.render(run.trade_off, run.notices)
    return tables.render(run.rows, run.reference, run.notices)


def _ledger(run: Run) -> list[RenderableType]:
    head, lines = ledger(count_flips(run.flips))
    if not lines:
        return []
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 0, 0, 1), pad_edge=False)
    for place, title in enumerate(head):
        table.add_column(title.replace("->", "->\n").replace(", ", ",\n"), justify="left" if place < 2 else "right")
    for line in lines:
        table.add_row(*map(Text, line))
    return [Text("\nchanged answers\n", style="bold"), table]


def _comparison(found: Comparison) -> list[RenderableType]:
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 0, 0, 1), pad_edge=False)
    for title in ("workload", "runner", "run"):
        table.add_column(title, overflow="fold")
    for name in COMPARED:
        table.add_column(SHOWN[name].title, justify="right", no_wrap=True)
        table.add_column("less\nfirst", justify="right", no_wrap=True)
    for change in found.changes:
        numbers = (
            text
            for name in COMPARED
            for text in (
                plain_number(SHOWN[name], change.values[name]),
                difference(SHOWN[name], change.changes[name]),
            )
        )
        table.add_row(*map(Text, (change.workload, change.runner, change.run, *numbers)))
    notes = [Text(str(mismatch), style="yellow") for mismatch in found.mismatches]
    return [Text("\ncomparison\n", style="bold"), table, *notes]


def as_text(runs: Sequence[Run]) -> str:
    """The same without colours, as a text of ``tables.WIDTH`` characters a line."""
    out = StringIO()
    Console(file=out, width=tables.WIDTH, highlight=False).print(render(runs))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _write(runs: Sequence[Run], options: ReportOptions) -> bytes:
    return as_text(runs).encode()


FORM = Form(".txt", _write, render)
