"""OpenAI's chat messages, with the answer beside them.

    {"messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "receipts/17.jpg"}},
        {"type": "text", "text": "What is the total?"}]}],
     "answer": "12.90"}

Of https://platform.openai.com/docs/api-reference/chat, with ``video_url`` parts as servers take them. Every user
message is a request; what the assistant said to it in the file is its answer key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import MinLen

from workloads.files.attachments import Attachments
from workloads.files.forms.answers import DEFAULT_METRIC, OF_CHOICES, read_answer
from workloads.files.forms.exchanges import Exchange, conversation
from workloads.files.forms.line import Line
from workloads.reading import check, keys
from workloads.records import Answer, Conversation, Media, MediaKind, Message

MEDIA_PARTS: dict[str, MediaKind] = {"image_url": "image", "video_url": "video"}


@keys(unknown="ignore")
@dataclass(frozen=True)
class Link:
    """Where a picture or a video is: a path from the file's folder, or a data URI."""

    url: str


@keys(unknown="ignore")
@dataclass(frozen=True)
class Part:
    """One part of a message; the field that ``type`` names must be there."""

    type: Literal["text", "image_url", "video_url"]
    text: str | None = None
    image_url: Link | None = None
    video_url: Link | None = None


@keys(unknown="ignore")
@dataclass(frozen=True)
class GivenMessage:
    """A message as it is written."""

    role: Literal["system", "user", "assistant"]
    content: str | tuple[Part, ...]


@dataclass(frozen=True, kw_only=True)
class MessagesLine(Line):
    """A line of this form."""

    messages: Annotated[tuple[GivenMessage, ...], MinLen(1)]


def read_messages(data: dict[str, Any], default_id: str, files: Attachments) -> Conversation:
    """See ``ReadLine`` of this folder. Earlier replies are scored like the last, but never as letters of options."""
    line = check(data, MessagesLine)
    messages = [_message(given, f"messages[{index}]", files) for index, given in enumerate(line.messages)]
    system = _joined(messages[0]) if messages[0].role == "system" else ""
    talk = messages[1:] if messages[0].role == "system" else messages
    _require_order(talk, first=len(messages) - len(talk))
    answer = read_answer(line)
    metric = DEFAULT_METRIC if answer.metric == OF_CHOICES else answer.metric
    answers = [*(Answer((_joined(reply),), metric) for reply in talk[1::2]), answer]
    exchanges = [Exchange(user.content, key) for user, key in zip(talk[::2], answers, strict=True)]
    return conversation(line, line.own_id(default_id), system, exchanges)


def _require_order(talk: Sequence[Message], first: int) -> None:
    for index, message in enumerate(talk):
        expected = ("user", "assistant")[index % 2]
        if message.role != expected:
            raise ValueError(
                f"messages[{first + index}].role must be '{expected}', not '{message.role}': "
                "after an optional system message, user and assistant take turns"
            )
    if len(talk) % 2 == 0:
        raise ValueError("messages must end with a user message; the answer to it goes into the field answer")


def _message(given: GivenMessage, where: str, files: Attachments) -> Message:
    content: tuple[str | Media, ...]
    if isinstance(given.content, str):
        content = (given.content,)
    else:
        parts = enumerate(given.content)
        content = tuple(_part(part, f"{where}.content[{index}]", given.role, files) for index, part in parts)
    if not any(content):
        raise ValueError(f"{where}.content is empty")
    return Message(given.role, content)


def _part(part: Part, where: str, role: str, files: Attachments) -> str | Media:
    value: str | Link | None = getattr(part, part.type)
    if isinstance(value, str):
        return value
    if role != "user" and part.type in MEDIA_PARTS:
        raise ValueError(
            f"{where} is of type {part.type} in a message of the {role}: only user messages may hold media"
        )
    if value is None:
        raise ValueError(f"{where}.{part.type} is missing")
    return files.load(value.url, MEDIA_PARTS[part.type], f"{where}.{part.type}.url")


def _joined(message: Message) -> str:
    return "".join(part for part in message.content if isinstance(part, str))
