"""Errors of a request or a model; each is shown as one line."""

from __future__ import annotations

from collections.abc import Callable


class MediaError(ValueError):
    """A media file cannot be read."""


class PromptError(ValueError):
    """A prompt cannot be rendered."""


class PromptTooLong(ValueError):
    """A prompt and its answer do not fit into the model's context."""


class UnsupportedModel(ValueError):
    """The engine cannot reuse this model's cache exactly, and says why."""


class DamagedEntry(Exception):
    """A stored entry turned out to be damaged when a request was already being computed with it.

    Attributes:
        drop: removes the entry and counts it.
    """

    def __init__(self, text: str, drop: Callable[[], None]) -> None:
        super().__init__(text)
        self.drop = drop


def first_line(error: BaseException) -> str:
    """The first line of an error's text that is not blank; the class of the error where there is none."""
    return next(filter(None, map(str.strip, str(error).splitlines())), type(error).__name__)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out. On a GPU torch has a class for it, on a CPU it raises a plain RuntimeError."""
    import torch

    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
