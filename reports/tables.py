"""The summary as tables for people: one per workload, the legend beneath all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from reports.columns import TABLE_COLUMNS, Column

WIDTH = 120
LABEL_WIDTH = 18
UNDEFINED = "-"

Row = Mapping[str, Any]


def render(rows: Sequence[Row], reference: str) -> Group:
    """Tables in the order of the rows; ``reference`` is marked. Readable at ``WIDTH`` characters."""
    parts: list[RenderableType] = []
    for workload in dict.fromkeys(row["workload"] for row in rows):
        mine = [row for row in rows if row["workload"] == workload]
        parts += [_heading(mine), _table(mine, reference), *_warnings(mine)]
    return Group(*parts, legend())


def legend() -> Text:
    """One line for each column of the table."""
    lines = []
    for column in TABLE_COLUMNS:
        good = f" ({column.better} is better)" if column.better else ""
        lines.append(f"{' '.join(column.title.split()).replace('- ', '')}: {column.meaning}{good}")
    lines.append(f"{UNDEFINED}: undefined, or too little was seen to say")
    return Text("\n" + "\n".join(lines), style="dim")


def _heading(rows: Sequence[Row]) -> Text:
    first = rows[0]
    what = f"{first['requests']} requests, {first['model']} on {first['device']} in {first['dtype']}"
    return Text.assemble("\n", (first["workload"], "bold"), f": {what}\n")


def _table(rows: Sequence[Row], reference: str) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 0, 0, 1), pad_edge=False)
    for column in TABLE_COLUMNS:
        table.add_column(column.title, justify="right" if column.unit else "left", overflow="fold")
    for row in rows:
        shown = {**row, "runner": _label(row["runner"], reference)}
        table.add_row(*(Text(cell(column, shown)) for column in TABLE_COLUMNS))
    return table


def _label(runner: str, reference: str) -> str:
    """The runner's label, marked if it is the reference; the options of a long one stand on lines of their own."""
    marked = f"{runner} *" if runner == reference else runner
    return marked.replace("@", "\n@", 1).replace(",", ",\n") if len(marked) > LABEL_WIDTH else marked


def cell(column: Column, row: Row) -> str:
    """The value of a column, with its interval where there is one."""
    text = _number(row[column.name], column.scale, column.spec)
    if column.interval_spec is None or row[f"{column.name}_ci_low"] is None:
        return text
    low, high = (_number(row[f"{column.name}_ci_{end}"], column.scale, column.interval_spec) for end in ("low", "high"))
    return f"{text} [{low},{high}]"


def _number(value: Any, scale: float, spec: str) -> str:
    if value is None:
        return UNDEFINED
    return value if isinstance(value, str) else format(value * scale, spec)


def _warnings(rows: Sequence[Row]) -> list[Text]:
    failed = [f"{row['runner']} {row['failed']} of {row['requests']}" for row in rows if row["failed"]]
    fallen = [f"{row['runner']} {row['fallbacks']}" for row in rows if row["fallbacks"]]
    warnings = []
    if failed:
        warnings.append(Text(f"failed, counted as wrong: {', '.join(failed)}", style="red"))
    if fallen:
        warnings.append(Text(f"computed although reusable: {', '.join(fallen)}", style="yellow"))
    return warnings
