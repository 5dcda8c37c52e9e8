"""Format the values of summary columns as texts, the same in every form of a report."""

from __future__ import annotations

from typing import Any

from reports.statistics.formatting import UNDEFINED
from reports.summary.column import Column
from reports.summary.row import Row


def cell(column: Column, row: Row) -> str:
    """The value of a column in a summary row, with its interval where there is one; an unknown end stays empty."""
    text, spec = _value(column, getattr(row, column.name)), column.interval_spec
    if spec is None:
        return text
    ends = [getattr(row, f"{column.name}_ci_{end}") for end in ("low", "high")]
    if ends == [None, None]:
        return text
    low, high = ("" if end is None else format(end * column.scale, spec) for end in ends)
    return f"{text} [{low},{high}]"


def plain_number(column: Column, value: float | None) -> str:
    """A value of a column, without the sign that the column gives to differences."""
    return UNDEFINED if value is None else format(value * column.scale, column.spec.lstrip("+"))


def difference(column: Column, value: float | None) -> str:
    """The difference of two values of a column, with its sign."""
    return UNDEFINED if value is None else format(value * column.scale, f"+{column.spec.lstrip('+')}")


def one_line(title: str) -> str:
    """A column's title without its line breaks and hyphens."""
    return " ".join(title.split()).replace("- ", "")


def _value(column: Column, value: Any) -> str:
    if value is None:
        return UNDEFINED
    if isinstance(value, str):
        return dict(column.words).get(value, value)
    return format(value * column.scale, column.spec)
