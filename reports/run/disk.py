"""Results on disk, and files that users name: what the disk refuses is the user's to mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workloads.errors import UsageError


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Turn what the disk says into a UsageError."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}; make room or choose another --output") from error


def read_bounded(path: Path, most: int, wanted: str) -> bytes:
    """A file of at most ``most`` bytes; UsageError when it cannot be read, or is too large to be ``wanted``."""
    try:
        with path.open("rb") as stream:
            data = stream.read(most + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > most:
        raise UsageError(f"{path} is larger than {most >> 20} MiB: that is no {wanted}")
    return data


def told(value: object) -> str:
    """What a file says, fit for one line, however long or deep it is."""
    return repr(value)[:40] if isinstance(value, str | int | float | bool | None) else f"a {type(value).__name__}"
