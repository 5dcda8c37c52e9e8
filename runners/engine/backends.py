"""Attention backends by name. No torch here."""

from __future__ import annotations

from workloads.errors import unknown_name

BACKENDS = {
    "sdpa": "runners.engine.attention.sdpa",
}
AUTO = "auto"


def choose_backend(name: str) -> str:
    """The backend that ``name`` stands for, ``auto`` for the best one; UsageError when there is none."""
    if name == AUTO:
        return "sdpa"
    if name not in BACKENDS:
        raise unknown_name("attention backend", name, [AUTO, *BACKENDS])
    return name
