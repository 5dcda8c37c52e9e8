"""OpenAI's chat messages, with the answer beside them.

    {"messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "receipts/17.jpg"}},
        {"type": "text", "text": "What is the total?"}]}],
     "answer": "12.90"}

Of https://platform.openai.com/docs/api-reference/chat, with ``video_url`` parts as servers take them. Every user
message is a request; what the assistant said to it in the file is its answer key.

Media may also be named beside the messages, as ms-swift, LLaMA-Factory and TRL have it: ``images`` or ``videos``, whose
places are ``<image>`` and ``<video>`` in what the user says, or parts ``{"type": "image"}`` that name no file; there
are as many places as media.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import MinLen

from workloads.files.attachments import Attachments
from workloads.files.forms.answers import DEFAULT_METRIC, OF_CHOICES, read_answer
from workloads.files.forms.beside import KINDS, LineWithMedia, Slot, count, fill, require_agreement, slots
from workloads.files.forms.exchanges import Exchange, conversation
from workloads.files.forms.line import read_line
from workloads.files.forms.unread import refuse_unread_media
from workloads.reading import keys
from workloads.records import Answer, Conversation, Media, MediaKind

MEDIA_PARTS: dict[str, MediaKind] = {"image_url": "image", "video_url": "video", "image": "image", "video": "video"}
Content = tuple[str | Media | Slot, ...]


@keys(unknown="ignore")
@dataclass(frozen=True)
class Link:
    """Where a picture or a video is: a path from the file's folder, or a data URI."""

    url: str


@keys(unknown="ignore")
@dataclass(frozen=True)
class Part:
    """One part of a message; the field that ``type`` names must be there, but for media beside the messages."""

    type: Literal["text", "image_url", "video_url", "image", "video"]
    text: str | None = None
    image_url: Link | None = None
    video_url: Link | None = None
    image: str | None = None
    video: str | None = None


@keys(unknown="ignore")
@dataclass(frozen=True)
class GivenMessage:
    """A message as it is written."""

    role: Literal["system", "user", "assistant"]
    content: str | tuple[Part, ...]


@dataclass(frozen=True, kw_only=True)
class MessagesLine(LineWithMedia):
    """A line of this form."""

    messages: Annotated[tuple[GivenMessage, ...], MinLen(1)]


@dataclass(frozen=True)
class Said:
    """A message whose places of media are not filled yet."""

    role: str
    content: Content


def read_messages(data: dict[str, Any], default_id: str, files: Attachments) -> Conversation:
    """See ``ReadLine`` of this folder. Earlier replies are scored like the last, but never as letters of options."""
    line = read_line(data, MessagesLine)
    _refuse_unread(data["messages"])
    messages = [_message(given, f"messages[{index}]", files) for index, given in enumerate(line.messages)]
    system = _joined(messages[0]) if messages[0].role == "system" else ""
    talk = messages[1:] if messages[0].role == "system" else messages
    _require_order(talk, first=len(messages) - len(talk))
    answer = read_answer(line)
    metric = DEFAULT_METRIC if answer.metric == OF_CHOICES else answer.metric
    answers = [*(Answer((_joined(reply),), metric) for reply in talk[1::2]), answer]
    contents = _placed(line, messages, [user.content for user in talk[::2]], files)
    exchanges = [Exchange(content, key) for content, key in zip(contents, answers, strict=True)]
    return conversation(line, line.own_id(default_id), system, exchanges)


def _refuse_unread(messages: Sequence[Any]) -> None:
    """ValueError for media in a field of a message, or of one of its parts, that is not read."""
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        refuse_unread_media(message, ("role", "content"), where)
        parts = message["content"] if isinstance(message["content"], list) else []
        for number, part in enumerate(parts):
            refuse_unread_media(part, ("type", part["type"]), f"{where}.content[{number}]")


def _placed(
    line: MessagesLine, messages: Sequence[Said], contents: Sequence[Content], files: Attachments
) -> list[tuple[str | Media, ...]]:
    """What the user says, with the media beside the messages in their places.

    Where none are beside, and some are in parts, a placeholder in a text is a text.
    """
    media = line.load(files)
    in_texts = [
        tuple(piece for part in content for piece in (slots(part) if isinstance(part, str) else (part,)))
        for content in contents
    ]
    if any(media.values()) or not any(isinstance(part, Media) for content in contents for part in content):
        contents = in_texts
    if any(media.values()) and any(
        count([tuple(slots(_joined(message)))], kind)
        for message in messages
        if message.role != "user"
        for kind in KINDS
    ):
        raise ValueError("messages of the user alone may hold media: there is an <image> or <video> in another one")
    require_agreement(contents, media)
    return fill(contents, media)


def _require_order(talk: Sequence[Said], first: int) -> None:
    for index, message in enumerate(talk):
        expected = ("user", "assistant")[index % 2]
        if message.role != expected:
            raise ValueError(
                f"messages[{first + index}].role must be '{expected}', not '{message.role}': "
                "after an optional system message, user and assistant take turns"
            )
    if len(talk) % 2 == 0:
        raise ValueError("messages must end with a user message; the answer to it goes into the field answer")


def _message(given: GivenMessage, where: str, files: Attachments) -> Said:
    content: Content
    if isinstance(given.content, str):
        content = (given.content,)
    else:
        parts = enumerate(given.content)
        content = tuple(_part(part, f"{where}.content[{index}]", given.role, files) for index, part in parts)
    if not any(content):
        raise ValueError(f"{where}.content is empty")
    return Said(given.role, content)


def _part(part: Part, where: str, role: str, files: Attachments) -> str | Media | Slot:
    value: str | Link | None = getattr(part, part.type)
    kind = MEDIA_PARTS.get(part.type)
    if kind is None:
        if value is None:
            raise ValueError(f"{where}.{part.type} is missing")
        return str(value)
    if role != "user":
        raise ValueError(
            f"{where} is of type {part.type} in a message of the {role}: only user messages may hold media"
        )
    if isinstance(value, Link):
        return files.load(value.url, kind, f"{where}.{part.type}.url")
    if value is None and part.type != kind:
        raise ValueError(f"{where}.{part.type} is missing")
    return Slot(kind) if value is None else files.load(value, kind, f"{where}.{part.type}")


def _joined(message: Said) -> str:
    return "".join(part for part in message.content if isinstance(part, str))
