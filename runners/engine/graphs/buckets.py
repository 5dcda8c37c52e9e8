"""Sizes rounded up to few: what was recorded for one serves all that share its bucket."""

from __future__ import annotations

EXACT = 16  # as far as every size is a bucket of its own
STEPS = 4  # buckets to an octave beyond


def bucket(size: int, multiple: int = 1) -> int:
    """The smallest bucket that is not less than ``size``, rounded up to a multiple.

    With four to an octave less than a quarter is added, besides what the multiple takes.
    """
    if size > EXACT:
        octave = 1 << (size - 1).bit_length() - 1  # the power of two below
        size += -size % (octave // STEPS)
    return size + -size % multiple
