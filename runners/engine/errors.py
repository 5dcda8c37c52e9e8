"""Errors of a request or a model; each is shown as one line."""

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
    """The first line of an error's text that is not blank; the class of the error where there is none."""
    return next(filter(None, map(str.strip, str(error).splitlines())), type(error).__name__)
