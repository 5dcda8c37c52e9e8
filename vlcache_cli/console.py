"""Print results to stdout, and everything else to stderr; nothing is printed anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

import typer

from vlcache_cli.terminal import outlet_of, print_line
from workloads.printable import on_one_line, printable

if TYPE_CHECKING:
    from rich.console import RenderableType

T = TypeVar("T")


def show(result: RenderableType, width: int) -> None:
    """Print tables to stdout, ``width`` characters wide or as wide as the terminal if that is wider."""
    from vlcache_cli.rich_console import make_console

    console = make_console(sys.stdout)
    console.width = max(width, console.width)
    console.print(result)


def show_text(text: str) -> None:
    """Print a document to stdout; what can be printed is untouched."""
    print_line(printable(text), sys.stdout)


def note(text: str) -> None:
    """Tell something on stderr."""
    print_line(printable(text), sys.stderr)


def fail(text: str) -> None:
    """Tell on stderr why a command ends, in red on a terminal."""
    line = printable(f"vlcache: {text}")
    print_line(typer.style(line, fg=typer.colors.RED) if sys.stderr.isatty() else line, sys.stderr)


def annotate(command: str) -> None:
    """Give a CI service a command, on a line of stderr."""
    print_line(on_one_line(command), outlet_of(sys.stderr))


def track(
    items: Iterable[T], title: str, total: int | Callable[[], int], about: Callable[[T], str] | None = None
) -> Iterator[T]:
    """Pass ``items`` on, with a progress bar and the time left on stderr if that is a terminal.

    Args:
        total: how many; called before each item where that changes.
        about: what the bar is called once an item came, such as the workload that it is of; ``title`` without it.
    """
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from vlcache_cli.rich_console import make_console

    parts = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*parts, console=make_console(outlet_of(sys.stderr)), transient=True) as progress:
        known = total if callable(total) else lambda: total
        task = progress.add_task(printable(title), total=known())
        for item in items:
            title = title if about is None else about(item)
            progress.update(task, description=printable(title), total=known())
            yield item
            progress.advance(task)
