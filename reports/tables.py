"""The summary as tables for people: one per workload, the legend beneath all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from reports.columns import TABLE_COLUMNS, Column
from reports.verdict import requests_needed

WIDTH = 120
LABEL_WIDTH = 18
UNDEFINED = "-"

Row = Mapping[str, Any]


def render(rows: Sequence[Row], reference: str) -> Group:
    """Tables in the order of the rows, none of no rows; ``reference`` is marked. Readable at ``WIDTH`` characters."""
    parts: list[RenderableType] = []
    for workload in dict.fromkeys(row["workload"] for row in rows):
        mine = [row for row in rows if row["workload"] == workload]
        parts += [heading(mine), _table(mine, reference), *problems(mine), *scoring(mine), *_open_verdicts(mine)]
    return Group(*parts, *(legend(row["margin"], row["alpha"]) for row in rows[:1]))


def legend(margin: float, alpha: float, columns: Sequence[Column] = TABLE_COLUMNS) -> Text:
    """One line for each column of a table, and what verdicts and intervals mean."""
    lines = []
    for column in columns:
        good = f" ({column.better} is better)" if column.better else ""
        lines.append(f"{' '.join(column.title.split()).replace('- ', '')}: {column.meaning}{good}")
        if column.words:
            shown = ", ".join(f"{word} = {text}" for text, word in column.words)
            lines.append(f"{shown}; the margin is {_points(margin)}")
    lines.append(
        f"[low,high]: {100 * (1 - alpha):g} % interval; requests that share media count for less than separate ones"
    )
    lines.append(f"{UNDEFINED}: undefined, or too little was seen to say")
    return Text("\n" + "\n".join(lines), style="dim")


def heading(rows: Sequence[Row]) -> Text:
    """What one workload's rows are about."""
    first = rows[0]
    what = f"{first['requests']} requests, {first['model']} on {first['device']} in {first['dtype']}"
    return Text.assemble("\n", (first["workload"], "bold"), f": {what}\n")


def _table(rows: Sequence[Row], reference: str) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=0, pad_edge=False)
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
    text = _shown(row[column.name], column)
    if column.interval_spec is None or row[f"{column.name}_ci_low"] is None:
        return text
    low, high = (format(row[f"{column.name}_ci_{end}"] * column.scale, column.interval_spec) for end in ("low", "high"))
    return f"{text} [{low},{high}]"


def _shown(value: Any, column: Column) -> str:
    if value is None:
        return UNDEFINED
    if isinstance(value, str):
        return dict(column.words).get(value, value)
    return format(value * column.scale, column.spec)


def problems(rows: Sequence[Row]) -> list[Text]:
    """What went wrong in one workload, by runner: requests that failed, and what was not reused."""
    failed = [f"{row['runner']} {row['failed']} of {row['requests']}" for row in rows if row["failed"]]
    fallen = [f"{row['runner']} {row['fallbacks']}" for row in rows if row["fallbacks"]]
    warnings = []
    if failed:
        warnings.append(Text(f"failed, counted as wrong: {', '.join(failed)}", style="red"))
    if fallen:
        warnings.append(Text(f"computed although reusable: {', '.join(fallen)}", style="yellow"))
    return warnings


def scoring(rows: Sequence[Row]) -> list[Text]:
    """What to know about the accuracy of one workload: answers without gold, unreadable ones, and official scores."""
    if rows[0]["weights"] == "random":
        return [Text("random weights: answers mean nothing, so accuracy, agreement, KL and verdict are left out")]
    requests, scored = rows[0]["requests"], rows[0]["scored"]
    unread = [f"{row['runner']} {row['parse_failed']} of {row['scored']}" for row in rows if row["parse_failed"]]
    official = [
        f"{row['runner']} {100 * row['official_accuracy']:.1f} %"
        for row in rows
        if row["official_accuracy"] is not None
    ]
    notes = []
    if not scored:
        notes.append(Text("no gold answers: accuracy and verdict are undefined, same % (agreement) is what counts"))
    elif scored < requests:
        notes.append(Text(f"{requests - scored} of {requests} requests have no gold answer: only same % is about them"))
    if unread:
        notes.append(Text(f"answers that could not be read, counted as wrong: {', '.join(unread)}", style="yellow"))
    if official:
        notes.append(Text(f"by the official scorer, its guesses included: {', '.join(official)}"))
    return notes


def _open_verdicts(rows: Sequence[Row]) -> list[Text]:
    """How many runners of one workload nothing can be said of, and what could change that."""
    judged = [row for row in rows if row["verdict"] is not None]
    undecided = [row for row in judged if row["verdict"] == "undecided"]
    if not undecided:
        return []
    first = undecided[0]
    seen, margin = int(first["compared_worth"]), first["margin"]
    needed = requests_needed(margin, first["alpha"])
    advice = (
        f"with no flips a margin of {_points(margin)} needs {needed} requests sharing no media, these are worth {seen}"
        if seen < needed
        else f"more is needed than what {seen} requests sharing no media would tell"
    )
    return [Text(f"undecided: {len(undecided)} of {len(judged)} runners; {advice}", style="yellow")]


def _points(share: float) -> str:
    points = f"{100 * share:g}"
    return f"{points} point" if points == "1" else f"{points} points"
