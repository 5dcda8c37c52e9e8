"""Make rich's consoles, which show data as they are: what a terminal would obey in it is escaped."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.segment import Segment

from workloads.printable import printable


def make_console(stream: TextIO) -> Console:
    """A console that prints to ``stream``."""
    console = Console(file=stream, highlight=False)
    console.push_render_hook(_Filter())
    return console


class _Filter(RenderHook):
    """Filters whatever a console renders, but for what other hooks add to it."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """See ``RenderHook``."""
        return [_Filtered(renderable) for renderable in renderables]


class _Filtered:
    """A renderable whose texts are printable; the console's own controls stay."""

    def __init__(self, renderable: ConsoleRenderable) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Called by rich."""
        for segment in console.render(self._renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)
