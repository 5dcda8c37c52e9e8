"""Writing results: what the disk refuses is the user's to mend."""

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
