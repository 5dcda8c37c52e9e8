"""``vlcache cache``: what a folder of stored entries holds."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vlcache_cli import console
from vlcache_cli.failures import ExitCode
from workloads.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runners.engine.store.disk.folder import StoreFolder
    from runners.engine.store.disk.listing import Listed

NARROWEST = 80
NUMBERS = ("size", "hits", "age", "used", "entries", "damaged")
UNITS = ("B", "KiB", "MiB", "GiB", "TiB")

app = typer.Typer(name="cache", help="List, check and clear a folder of stored entries (--store-dir of vlcache bench).")

StoreDir = Annotated[Path, typer.Option("--store-dir", help="Folder of the entries.", show_default=False)]
Namespace = Annotated[str | None, typer.Option("--namespace", help="Only entries of this one.", show_default="all")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]


@app.command("ls")
def ls(store_dir: StoreDir, namespace: Namespace = None, json: Json = False) -> None:
    """List entries, those used last at the end: whose they are, bytes, hits, age, and when they were used."""
    entries = sorted(_entries(_folder(store_dir), namespace), key=lambda entry: entry.used)
    if json:
        _show_json(entries=[entry.to_json() for entry in entries])
        return
    now = time.time()
    _show_table(
        ("entry", "namespace", "model", "runner", "size", "hits", "age", "used"),
        [
            (
                _short(entry),
                entry.namespace or "?",
                entry.model or "?",
                entry.runner or f"damaged: {entry.wrong}",
                _size(entry.nbytes),
                str(entry.hits),
                "?" if entry.created is None else _age(now - entry.created),
                _age(now - entry.used),
            )
            for entry in entries
        ],
    )


@app.command("info")
def info(store_dir: StoreDir, namespace: Namespace = None, json: Json = False) -> None:
    """Add entries up: by namespace, model and runner, and all together."""
    from dataclasses import asdict

    from runners.engine.store.disk.listing import Total, by_owner

    entries = _entries(_folder(store_dir), namespace)
    groups, total = by_owner(entries), Total.of(entries)
    if json:
        owners = [dict(zip(("namespace", "model", "runner"), key, strict=True)) for key in groups]
        _show_json(
            total=asdict(total),
            owners=[owner | asdict(group) for owner, group in zip(owners, groups.values(), strict=True)],
        )
        return
    _show_table(
        ("namespace", "model", "runner", "entries", "size", "hits", "damaged"),
        [
            (*owner, str(group.entries), _size(group.nbytes), str(group.hits), str(group.damaged))
            for owner, group in [*groups.items(), (("all", "", ""), total)]
        ],
    )


@app.command("verify")
def verify(store_dir: StoreDir, namespace: Namespace = None, json: Json = False) -> None:
    """Check every byte of every entry; exit code 4 if one is damaged. Nothing is removed."""
    entries = _entries(_folder(store_dir), namespace, whole=True)
    damaged = [entry for entry in entries if entry.wrong is not None]
    if json:
        _show_json(checked=len(entries), damaged=[entry.to_json() for entry in damaged])
    else:
        for entry in damaged:
            console.show_text(f"{entry.file}: {entry.wrong}")
        console.show_text(f"{len(entries)} entries checked, {len(damaged)} damaged")
    if damaged:
        raise typer.Exit(ExitCode.REQUESTS_FAILED)


@app.command("clear")
def clear(
    store_dir: StoreDir,
    namespace: Namespace = None,
    damaged: Annotated[bool, typer.Option("--damaged", help="Only entries that fail verify.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Remove entries, after saying what that frees and asking. Other files in the folder stay."""
    from dataclasses import asdict

    from runners.engine.store.disk.listing import Total, remove

    folder = _folder(store_dir)
    chosen = [entry for entry in _entries(folder, namespace, whole=damaged) if entry.wrong is not None or not damaged]
    total = Total.of(chosen)
    what = f"{total.entries} entries, {_size(total.nbytes)}, used {total.hits} times, in {store_dir}"
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"this would remove {what}: add --yes")
        if not typer.confirm(f"Remove {what}?", err=True):
            console.note("nothing was removed")
            return
    freed = remove(folder, chosen)
    if json:
        _show_json(removed=asdict(freed))
    else:
        console.show_text(f"removed {what}")


def _folder(path: Path) -> StoreFolder:
    from runners.engine.store.disk.folder import StoreFolder

    folder = StoreFolder(path.expanduser())
    if not folder.path.is_dir():
        raise UsageError(f"--store-dir {path}: there is no such folder")
    return folder


def _entries(folder: StoreFolder, namespace: str | None, whole: bool = False) -> list[Listed]:
    from runners.engine.store.disk.listing import survey

    return [entry for entry in survey(folder, whole) if namespace is None or entry.namespace == namespace]


def _show_json(**parts: Any) -> None:
    from reports.forms.json import document

    console.show_text(document(**parts))


def _show_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0))
    for head in heads:
        table.add_column(head, justify="right" if head in NUMBERS else "left")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.show(table, NARROWEST)


def _short(entry: Listed) -> str:
    """Name an entry briefly: its kind, and the first digits of its key."""
    return entry.file.partition("/")[2].removesuffix(".safetensors")[: len("prefix-") + 10]


def _size(nbytes: int) -> str:
    amount, unit = float(nbytes), 0
    while amount >= 1024 and unit < len(UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{amount:.1f} {UNITS[unit]}" if unit else f"{nbytes} B"


def _age(seconds: float) -> str:
    """A time that went by, roughly."""
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{max(seconds, 0) / unit:.0f} {name}"
    return f"{seconds / 86_400:.0f} d"
