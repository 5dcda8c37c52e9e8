"""Buckets: sizes rounded up to a few, so that one recording serves all sizes of its bucket."""

from __future__ import annotations

EXACT = 16  # up to here every size is a bucket of its own
STEPS = 4  # buckets to an octave beyond that


def bucket(size: int, multiple: int = 1) -> int:
    """The smallest bucket that is not less than ``size``, rounded up to a multiple.

    With four buckets to an octave padding is less than a quarter of ``size``, besides rounding to the multiple.
    """
    if size > EXACT:
        octave = 1 << (size - 1).bit_length() - 1  # the power of two below
        size += -size % (octave // STEPS)
    return size + -size % multiple
