"""Forms of request lines: each is detected by a field that no other has, and imported on look-up."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from workloads.files.attachments import Attachments
from workloads.records import Conversation

ReadLine = Callable[[dict[str, Any], str, Attachments], Conversation]
"""Takes a line, the id of a conversation that names none, and the media files. Raises ValueError with a sentence that
begins with the name of a field."""

FORMS = {
    "messages": "workloads.files.forms.messages:read_messages",
    "conversations": "workloads.files.forms.conversations:read_conversations",
    "prompt": "workloads.files.forms.custom_image:read_custom_image",
    "turns": "workloads.files.forms.multi_turn:read_multi_turn",
    "text": "workloads.files.forms.multi_turn:read_single_turn",
}
SINGLE = "text"
OF_SINGLE_TURNS = ("text", "texts")  # count only where no other form's field is given
SINGLE_TYPES = ("single_turn", "random_pool")  # of AIPerf, whose lines may be pictures alone


def detect_form(data: dict[str, Any]) -> str:
    """The field by which the form of a line is detected; ValueError when it has none or several of them."""
    given = [field for field in FORMS if field != SINGLE and data.get(field) is not None]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} are both given: keep one")
    if given:
        return given[0]
    if any(data.get(field) is not None for field in OF_SINGLE_TURNS) or data.get("type") in SINGLE_TYPES:
        return SINGLE
    raise ValueError(f"must have one of the fields {', '.join(list(FORMS)[:-1])} or {list(FORMS)[-1]}")


def load_form(field: str) -> ReadLine:
    """The reader of the form that ``field`` detects."""
    module, attribute = FORMS[field].split(":")
    read: ReadLine = getattr(import_module(module), attribute)
    return read
