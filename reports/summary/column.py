"""How a column of the summary is declared: as a field of ``row.Row`` that carries a ``Column``."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, Literal

Better = Literal["higher", "lower"]

DECLARED = "column"
END = "end"


@dataclass(frozen=True)
class Column:
    """One field of a summary row.

    Attributes:
        name: the field, and the key in the JSON document: the contract of ``--json``.
        unit: of the stored number; empty for texts.
        meaning: the legend's sentence.
        title: the table's heading.
        better: which direction is good, where one is.
        scale: factor from the stored number to the displayed one.
        spec: format specification of a displayed number.
        interval_spec: format specification of the ends ``name_ci_low``, ``name_ci_high``; None: tables show none.
        in_table: whether the default table has this column.
        words: texts that are displayed as shorter ones.
        required: whether every summary has a value here; else None stands for undefined, and for a summary that was
            written before the column was added.
    """

    name: str
    unit: str
    meaning: str
    title: str = ""
    better: Better | None = None
    scale: float = 1
    spec: str = ""
    interval_spec: str | None = None
    in_table: bool = False
    words: tuple[tuple[str, str], ...] = ()
    required: bool = False


def column(meaning: str, unit: str = "", *, required: bool = False, **about: Any) -> Any:
    """Declare a field as a column; ``about``: the attributes of ``Column``."""
    declared = Column("", unit, meaning, required=required, **about)
    return field(default=MISSING if required else None, metadata={DECLARED: declared})


def same_at(percentile: int, interval_spec: str) -> Any:
    """Declare a percentile, in milliseconds, of the times whose median is the column above."""
    meaning = f"{percentile}th percentile of the same"
    return column(meaning, unit="ms", better="lower", spec=".1f", interval_spec=interval_spec)


def end() -> Any:
    """Declare a field ``name_ci_low`` or ``name_ci_high`` as one end of the interval of the column ``name``."""
    return field(default=None, metadata={DECLARED: END})


def columns_of(row: type) -> tuple[Column, ...]:
    """The columns that the fields of a dataclass declare, in their order."""
    measured = {entry.name: entry.metadata[DECLARED] for entry in fields(row)}
    return tuple(
        _end_of(name, measured) if declared == END else replace(declared, name=name)
        for name, declared in measured.items()
    )


def _end_of(name: str, measured: dict[str, Any]) -> Column:
    of, _, which = name.rpartition("_ci_")
    return Column(name, measured[of].unit, f"{which} end of the interval of {of}")
