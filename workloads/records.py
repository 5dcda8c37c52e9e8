"""The vocabulary of a workload: media, turns, conversations and their answer keys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

MediaKind = Literal["image", "video"]
Popularity = Literal["zipf", "even"]


@dataclass(frozen=True)
class Media:
    """One picture, document page or video clip, as the encoded bytes a client would send.

    Attributes:
        kind: ``image``, or ``video`` for an animated file whose frames belong together.
        data: the encoded file (PNG, JPEG, APNG, ...); two media are the same iff their bytes are.
        name: what a person calls it, for messages and reports; never an identity.
        content_share: share (0..1) of its area that carries content, or None when unknown.
    """

    kind: MediaKind
    data: bytes
    name: str
    content_share: float | None = None


@dataclass(frozen=True)
class Answer:
    """The answer key of one turn: the accepted texts and the metric that compares them."""

    accepted: tuple[str, ...]
    metric: str

    @property
    def gold(self) -> str:
        """The text put into the history when a conversation goes on."""
        return self.accepted[0]


@dataclass(frozen=True)
class Turn:
    """One request of a conversation: what the user says now, and the answer expected.

    Attributes:
        id: unique in its workload stream.
        content: text and media in the order they are sent.
        answer: the answer key.
        family: the kind of question, for break-downs.
    """

    id: str
    content: tuple[str | Media, ...]
    answer: Answer
    family: str

    @property
    def media(self) -> tuple[Media, ...]:
        """The media of this turn, in order."""
        return tuple(part for part in self.content if isinstance(part, Media))


@dataclass(frozen=True)
class Message:
    """One message of a chat prompt."""

    role: Literal["system", "user", "assistant"]
    content: tuple[str | Media, ...]


def media_in(messages: Iterable[Message]) -> tuple[Media, ...]:
    """Every medium of a prompt, in order, repeats included."""
    return tuple(part for message in messages for part in message.content if isinstance(part, Media))


@dataclass(frozen=True)
class Conversation:
    """Turns that share a history. What is under one ``cluster_id`` is not independent."""

    id: str
    cluster_id: str
    system: str
    turns: tuple[Turn, ...]

    def prompt(self, turn_index: int) -> tuple[Message, ...]:
        """The messages that turn ``turn_index`` is answered from: the history holds the gold answers."""
        messages = [Message("system", (self.system,))] if self.system else []
        for turn in self.turns[:turn_index]:
            messages += [Message("user", turn.content), Message("assistant", (turn.answer.gold,))]
        return (*messages, Message("user", self.turns[turn_index].content))
