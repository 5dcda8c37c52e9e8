"""Media features placed into a prompt's embeddings."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor


def place_features(hidden: Tensor, media: Iterable[tuple[slice, Tensor]], deepstack: int) -> Tensor | None:
    """Write the input embeddings of every medium into ``hidden``, ``(tokens, hidden)``, in place.

    Args:
        media: the tokens of each medium, and its rows, ``(its tokens, (1 + deepstack) * hidden)``.
        deepstack: how many layers add features.

    Returns:
        Features that these layers add, ``(deepstack, tokens, hidden)``; None where no layer does.

    Raises:
        ValueError: a medium has another number of rows than tokens, or rows of another width.
    """
    tokens, width = hidden.shape
    added = hidden.new_zeros(deepstack, tokens, width) if deepstack else None
    for span, rows in media:
        if rows.shape != (span.stop - span.start, (1 + deepstack) * width):
            raise ValueError(
                f"features {tuple(rows.shape)} do not fill {span.stop - span.start} tokens of {1 + deepstack} x {width}"
            )
        hidden[span] = rows[:, :width]
        if added is not None:
            added[:, span] = rows[:, width:].unflatten(1, (deepstack, width)).transpose(0, 1)
    return added
