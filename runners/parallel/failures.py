"""Agree among the processes of one model on the failure that came first: it alone is told. No torch here."""

from __future__ import annotations

from typing import Protocol

KEY = "failed"


class SharedStore(Protocol):
    """Values that all processes see, such as torch's ``Store``."""

    def compare_set(self, key: str, expected_value: str, desired_value: str) -> bytes:
        """Set a key that nobody set yet (``expected_value`` is empty), and return its value."""
        ...


_stores: list[SharedStore] = []


def share(store: SharedStore) -> None:
    """Tell failures of this process to the others, from now on."""
    _stores[:] = [store]


def unshare() -> None:
    """Tell them no more."""
    _stores.clear()


def code_of_first(rank: int, code: int) -> int | None:
    """Note that a process fails with an exit code; returns that of another one that failed before; None for none."""
    if not _stores:
        return None
    try:
        first, _, of_first = _stores[0].compare_set(KEY, "", f"{rank}:{code}").decode().partition(":")
    except RuntimeError:  # whoever kept the store is gone
        return None
    return int(of_first) if int(first) != rank else None
