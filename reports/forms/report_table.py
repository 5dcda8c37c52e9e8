"""Print saved runs as tables for people: those of ``bench`` and ``sweep``, and of several runs what changed."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

from rich.console import Console, Group, RenderableType
from rich.text import Text

from reports.answers.of_run import block_of
from reports.compare import compare
from reports.forms import answer_block, sweep_table, table
from reports.forms.form import Form, ReportOptions
from reports.runs import Run
from reports.tables import screen
from reports.tables.summary import comparison_table, ledger_table
from workloads.printable import printable


def render(runs: Sequence[Run]) -> Group:
    """Everything, readable at ``screen.WIDTH`` characters."""
    parts: list[RenderableType] = []
    for run in runs:
        parts += [Text(f"\n{run.label}", style="bold underline")] if len(runs) > 1 else []
        parts += [answer_block.render(block_of(run)), _tables(run)]
        changed = ledger_table(run.flips)
        parts += screen.section(changed) if changed.rows else []
    if len(runs) > 1:
        parts += screen.section(comparison_table(compare(runs)))
    return Group(*parts)


def _tables(run: Run) -> RenderableType:
    if run.is_sweep:
        return sweep_table.render(run.trade_off, run.notices)
    return table.render(run.rows, run.reference, run.notices)


def as_text(runs: Sequence[Run]) -> str:
    """The same without colours, as a text of ``screen.WIDTH`` characters a line."""
    out = StringIO()
    Console(file=out, width=screen.WIDTH, highlight=False, force_terminal=False).print(render(runs))
    return "".join(f"{line.rstrip()}\n" for line in printable(out.getvalue()).removesuffix("\n").split("\n"))


def _write(runs: Sequence[Run], options: ReportOptions) -> bytes:
    return as_text(runs).encode()


FORM = Form(".txt", _write, render)
