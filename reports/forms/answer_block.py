"""Print the answer of a run on at most ``WIDTH`` characters a line, before any table."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.table import Table as Grid
from rich.text import Text

from reports.answers.block import WIDTH, Block
from reports.tables import screen


def render(block: Block) -> RenderableType:
    """The table, what is to be said beneath it, and what to run next."""
    notes = [Text(), *screen.notes(block.table), *(Text(note.text, style=note.style) for note in block.notes)]
    commands = Grid.grid(padding=(0, 2))
    for purpose, command in block.commands.items():
        commands.add_row(Text(purpose, style="dim"), Text(command, style="bold"))
    heading = screen.heading(block.table.title, block.table.about)
    return Constrain(Group(heading, screen.grid(block.table), *notes, Text(), commands), WIDTH)
