"""Make a conversation of the exchanges of a line: requests that share a history, with ids and a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blake3 import blake3

from workloads.files.forms.line import Line
from workloads.records import Answer, Conversation, Media, Turn

FAMILY = "request"


@dataclass(frozen=True)
class Exchange:
    """What the user says, and the key of the answer to it."""

    content: tuple[str | Media, ...]
    answer: Answer


def conversation(line: Line, own_id: str, system: str, exchanges: Sequence[Exchange]) -> Conversation:
    """The requests of a line. The last has the id of the line, those before it a number, too."""
    last = len(exchanges) - 1
    turns = tuple(
        Turn(own_id if index == last else f"{own_id}.{index}", exchange.content, exchange.answer, FAMILY)
        for index, exchange in enumerate(exchanges)
    )
    return Conversation(own_id, _cluster(line, own_id, turns), system, turns)


def _cluster(line: Line, own_id: str, turns: Sequence[Turn]) -> str:
    """The session, else what is in the first medium, else nothing but this line."""
    if line.session_id is not None:
        return f"session/{line.session_id}"
    media = [medium for turn in turns for medium in turn.media]
    return f"media/{blake3(media[0].data).hexdigest()[:16]}" if media else f"request/{own_id}"
