"""Agree among the processes of one model on the failure that came first: it alone is told. No torch here."""

from __future__ import annotations

from typing import Protocol

KEY = "failed"


class SharedStore(Protocol):
    """Values that all processes see, such as torch's ``Store``."""

    def compare_set(self, key: str, expected_value: str, desired_value: str) -> bytes:
        """Set a key that nobody set yet (``expected_value`` is empty), and return its value."""
        ...


_shared: list[tuple[SharedStore, int]] = []


def share(store: SharedStore, rank: int) -> None:
    """Tell failures of this process, whose rank this is, to the others from now on."""
    _shared[:] = [(store, rank)]


def unshare() -> None:
    """Tell them no more."""
    _shared.clear()


def code_told_elsewhere(code: int, interrupted: bool) -> int | None:
    """Note that this process fails with an exit code; None where it is the one that tells why.

    Returns:
        the exit code to end with, where another process tells why: one that failed before, or rank 0 where all were
        interrupted.
    """
    if not _shared:
        return None
    store, rank = _shared[0]
    if interrupted and rank:
        return code
    try:
        first, _, of_first = store.compare_set(KEY, "", f"{rank}:{code}").decode().partition(":")
    except RuntimeError:  # whoever kept the store is gone
        return None
    return int(of_first) if int(first) != rank else None
