"""Write runs as Markdown: the tables that people are shown, for a wiki or a comment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reports.answers.block import Block
from reports.answers.of_run import block_of
from reports.compare import Comparison, compare
from reports.forms.form import Form, ReportOptions
from reports.runs import Run
from reports.tables.details import detail_tables, legend_columns
from reports.tables.markdown import bullets, grid, plain
from reports.tables.summary import comparison_table, ledger_table, legend, summary_table


def to_markdown(runs: Sequence[Run]) -> str:
    """One section for each run and workload, with what should not be overlooked; the comparison behind, if any."""
    parts: list[str] = []
    for run in runs:
        parts += [f"# {plain(run.label)}"] if len(runs) > 1 else []
        parts += _answers(block_of(run))
        for workload in run.workloads:
            parts += _workload(run, workload)
        for table in detail_tables(run.rows):
            parts += [f"## {plain(table.title.capitalize())}", grid(table)]
        changed = ledger_table(run.flips)
        parts += ["## Changed answers", grid(changed)] if changed.rows else []
    if len(runs) > 1:
        parts += _comparison(compare(runs))
    first, columns = runs[0].rows[0], legend_columns([row for run in runs for row in run.rows])
    parts += ["## How to read it", *bullets(legend(first.margin, first.alpha, columns))]
    return "\n\n".join(parts) + "\n"


def _answers(block: Block) -> Iterator[str]:
    yield f"## {plain(block.table.heading)}"
    yield grid(block.table)
    yield from bullets(note.text for note in block.notes)
    yield from bullets(f"{purpose}: {command}" for purpose, command in block.commands.items())


def _workload(run: Run, workload: str) -> Iterator[str]:
    table = summary_table(run.rows_of(workload), run.reference, [*run.notices, *run.trade_off.cautions])
    yield f"## {plain(table.heading)}"
    yield grid(table)
    choice = run.trade_off.recommended[workload]
    runner = "none" if choice.runner is None else f"{plain(choice.runner)}, {choice.ttft_speedup:.2f} times as fast"
    yield f"**Recommended**: {runner}; {plain(choice.reason)}"
    yield from bullets(note.text for note in table.notes)


def _comparison(comparison: Comparison) -> Iterator[str]:
    table = comparison_table(comparison)
    yield "# Comparison"
    yield grid(table)
    yield from bullets(note.text for note in table.notes)


def _write(runs: Sequence[Run], options: ReportOptions) -> bytes:
    return to_markdown(runs).encode()


FORM = Form(".md", _write)
