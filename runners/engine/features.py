"""Puts the vision encoder's output where a prompt has its media."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor


def place_features(hidden: Tensor, media: Iterable[tuple[int, Tensor]], deepstack: int) -> Tensor | None:
    """Write every medium's input embeddings into ``hidden``, ``(tokens, hidden)``, in place.

    Args:
        media: where each begins, and its rows, ``(its tokens, (1 + deepstack) * hidden)``.
        deepstack: how many layers add features.

    Returns:
        What these layers add, ``(deepstack, tokens, hidden)``; None where none does.
    """
    tokens, width = hidden.shape
    added = hidden.new_zeros(deepstack, tokens, width) if deepstack else None
    for start, rows in media:
        span = slice(start, start + len(rows))
        hidden[span] = rows[:, :width]
        if added is not None:
            added[:, span] = rows[:, width:].unflatten(1, (deepstack, width)).transpose(0, 1)
    return added
