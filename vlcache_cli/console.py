"""Print results to stdout, and everything else to stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

T = TypeVar("T")


def show(result: RenderableType, width: int) -> None:
    """Print tables to stdout, ``width`` characters wide or as wide as the terminal if that is wider."""
    from rich.console import Console

    console = Console(file=sys.stdout, highlight=False)
    console.width = max(width, console.width)
    console.print(result)


def show_text(text: str) -> None:
    """Print a document to stdout, untouched."""
    typer.echo(text)


def note(text: str) -> None:
    """Tell something on stderr."""
    typer.echo(text, err=True)


def track(items: Iterable[T], title: str, total: int) -> Iterator[T]:
    """Pass ``items`` on, with a progress bar on stderr if that is a terminal."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    parts = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*parts, console=Console(stderr=True), transient=True) as progress:
        yield from progress.track(items, total=total, description=title)
