"""What can be wrong with a request or a model; each becomes one line for people."""

from __future__ import annotations


class MediaError(ValueError):
    """A media file cannot be read."""


class PromptError(ValueError):
    """A prompt cannot be rendered."""


class PromptTooLong(ValueError):
    """A prompt and its answer do not fit into the model's context."""


class UnsupportedModel(ValueError):
    """The engine cannot reuse this model's cache exactly, and says why."""


def first_line(error: BaseException) -> str:
    """The first line with text of what an error of a library says, which may begin with blank ones; else its kind."""
    return next(filter(None, map(str.strip, str(error).splitlines())), type(error).__name__)
