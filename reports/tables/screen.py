"""Render a table with rich, for a screen or a text file."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from reports.tables.table import Table, TableColumn

WIDTH = 120
LABEL_WIDTH = 18
LEFT_OF_A_COLUMN = (0, 0, 0, 1)


def section(table: Table) -> list[RenderableType]:
    """Heading, grid and notes."""
    return [heading(table.title, table.about), grid(table), *notes(table)]


def heading(title: str, about: str = "") -> Text:
    """A title in bold between empty lines, with what is said of it."""
    return Text.assemble("\n", (title, "bold"), f": {about}\n" if about else "\n")


def grid(table: Table) -> RichTable:
    """Head and rows."""
    padding = 0 if table.dense else LEFT_OF_A_COLUMN
    drawn = RichTable(box=SIMPLE_HEAD, show_edge=False, padding=padding, pad_edge=False)
    for column in table.columns:
        drawn.add_column(
            Text(column.narrow_title or column.title),
            justify="right" if column.right else "left",
            overflow="fold" if column.wrap else "ellipsis",
            no_wrap=not column.wrap,
            max_width=column.max_width,
        )
    for place, row in enumerate(table.rows):
        cells = (
            Text(_cell(text, column), style=table.styles.get((place, across), ""))
            for across, (text, column) in enumerate(zip(row, table.columns, strict=True))
        )
        drawn.add_row(*cells, style="bold" if place in table.emphasised else None)
    return drawn


def notes(table: Table) -> list[Text]:
    """One line for each note."""
    return [Text(note.text, style=note.style) for note in table.notes]


def _cell(text: str, column: TableColumn) -> str:
    """The text; of a label that is long, the options on lines of their own."""
    if column.is_label and len(text) > LABEL_WIDTH:
        return text.replace("@", "\n@", 1).replace(",", ",\n")
    return text
