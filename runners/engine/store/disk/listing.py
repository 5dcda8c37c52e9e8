"""List what a directory of entries holds, check it, and remove what is chosen. No torch here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from runners.engine.store.disk.file import BadEntry, check_tensors, read_description
from runners.engine.store.disk.folder import StoredFile, StoreFolder


@dataclass(frozen=True)
class Listed:
    """An entry as people see it.

    Attributes:
        file: name of its file below the directory.
        namespace, model, runner, kind, created: as its file says; None where that cannot be read.
        used: seconds since 1970 when it was last written or read.
        hits: how often it was used.
        wrong: why no one would be served it; None of a good one.
    """

    file: str
    nbytes: int
    used: float
    hits: int
    namespace: str | None = None
    model: str | None = None
    runner: str | None = None
    kind: str | None = None
    created: float | None = None
    wrong: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return asdict(self)


@dataclass(frozen=True)
class Total:
    """Entries together.

    Attributes:
        damaged: of these, those that no one would be served.
    """

    entries: int
    nbytes: int
    hits: int
    damaged: int

    @classmethod
    def of(cls, entries: Sequence[Listed]) -> Total:
        """Add entries up."""
        return cls(
            len(entries),
            sum(entry.nbytes for entry in entries),
            sum(entry.hits for entry in entries),
            sum(entry.wrong is not None for entry in entries),
        )


def survey(folder: StoreFolder, whole: bool = False) -> Iterator[Listed]:
    """List all entries by scope and name.

    Args:
        whole: whether every byte is checked, and not only what describes an entry.
    """
    for file in folder.files():
        try:
            yield _look(folder, file, whole)
        except FileNotFoundError:  # evicted in between
            continue


def _look(folder: StoreFolder, file: StoredFile, whole: bool) -> Listed:
    listed = Listed(f"{file.scope}/{file.name}", file.nbytes, file.used, file.hits)
    try:
        with folder.open(file.scope, file.name) as stream:
            description = read_description(stream)
            about, wrong = description.about, None
            if file.name != f"{description.kind}-{description.key}.safetensors" or file.scope != description.scope:
                wrong = "it is another entry"
            elif whole:
                check_tensors(stream, description.tensors)
    except BadEntry as error:
        return replace(listed, wrong=str(error))
    return replace(
        listed,
        namespace=about.namespace,
        model=about.model,
        runner=about.runner,
        kind=description.kind,
        created=about.created,
        wrong=wrong,
    )


def by_owner(entries: Iterable[Listed]) -> dict[tuple[str, str, str], Total]:
    """Totals by namespace, model and runner; ``?`` where a file does not say."""
    groups: dict[tuple[str, str, str], list[Listed]] = {}
    for entry in entries:
        groups.setdefault((entry.namespace or "?", entry.model or "?", entry.runner or "?"), []).append(entry)
    return {owner: Total.of(group) for owner, group in sorted(groups.items())}


def remove(folder: StoreFolder, entries: Iterable[Listed]) -> Total:
    """Remove entries; returns what was freed."""
    chosen = list(entries)
    for entry in chosen:
        scope, _, name = entry.file.partition("/")
        folder.remove(scope, name)
    folder.tidy()
    return Total.of(chosen)
