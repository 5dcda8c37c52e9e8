"""What all forms end in: requests that share a history, under the ids that a line gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from blake3 import blake3

from workloads.files.forms.fields import label
from workloads.records import Answer, Conversation, Media, Turn

FAMILY = "request"


@dataclass(frozen=True)
class Exchange:
    """What the user says, and the key of the answer to it."""

    content: tuple[str | Media, ...]
    answer: Answer


def conversation(
    data: dict[str, Any], default_id: str, system: str, exchanges: Sequence[Exchange], id_field: str = "id"
) -> Conversation:
    """The requests of a line. The last has the id of the line, those before it a number, too."""
    own_id = label(data, id_field) or default_id
    last = len(exchanges) - 1
    turns = tuple(
        Turn(own_id if index == last else f"{own_id}.{index}", exchange.content, exchange.answer, FAMILY)
        for index, exchange in enumerate(exchanges)
    )
    return Conversation(own_id, _cluster(data, own_id, turns), system, turns)


def _cluster(data: dict[str, Any], own_id: str, turns: Sequence[Turn]) -> str:
    """The session, else what is in the first medium, else nothing but this line."""
    session = label(data, "session_id")
    if session is not None:
        return f"session/{session}"
    media = [medium for turn in turns for medium in turn.media]
    return f"media/{blake3(media[0].data).hexdigest()[:16]}" if media else f"request/{own_id}"
