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
from typing import Any

from workloads.files.attachments import Attachments
from workloads.files.forms.answers import DEFAULT_METRIC, OF_CHOICES, read_answer
from workloads.files.forms.fields import items, json_object, text
from workloads.files.forms.talk import Exchange, conversation
from workloads.media.pictures import shown
from workloads.records import Answer, Conversation, Media, MediaKind, Message

ROLES = ("system", "user", "assistant")
MEDIA_PARTS: dict[str, MediaKind] = {"image_url": "image", "video_url": "video"}


def read_messages(data: dict[str, Any], default_id: str, files: Attachments) -> Conversation:
    """See ``ReadLine`` of this folder. Earlier replies are scored like the last, but never as letters of options."""
    given = items(data, "messages")
    messages = [_message(item, f"messages[{index}]", files) for index, item in enumerate(given)]
    system = _joined(messages[0]) if messages[0].role == "system" else ""
    talk = messages[1:] if messages[0].role == "system" else messages
    _require_order(talk, first=len(messages) - len(talk))
    answer = read_answer(data)
    metric = DEFAULT_METRIC if answer.metric == OF_CHOICES else answer.metric
    answers = [*(Answer((_joined(reply),), metric) for reply in talk[1::2]), answer]
    exchanges = [Exchange(user.content, key) for user, key in zip(talk[::2], answers, strict=True)]
    return conversation(data, default_id, system, exchanges)


def _require_order(talk: Sequence[Message], first: int) -> None:
    for index, message in enumerate(talk):
        expected = ROLES[1 + index % 2]
        if message.role != expected:
            raise ValueError(
                f"messages[{first + index}].role must be '{expected}', not '{message.role}': "
                "after an optional system message, user and assistant take turns"
            )
    if len(talk) % 2 == 0:
        raise ValueError("messages must end with a user message; the answer to it goes into the field answer")


def _message(value: object, where: str, files: Attachments) -> Message:
    message = json_object(value, where)
    role = text(message, "role", where)
    if role not in ROLES:
        raise ValueError(f"{where}.role must be one of {', '.join(ROLES)}, not {shown(role)}")
    content: tuple[str | Media, ...]
    if isinstance(message.get("content"), list):
        parts = enumerate(message["content"])
        content = tuple(_part(part, f"{where}.content[{index}]", role, files) for index, part in parts)
    else:
        content = (text(message, "content", where, "a text or a list of parts"),)
    if not any(content):
        raise ValueError(f"{where}.content is empty")
    return Message(role, content)  # type: ignore[arg-type]  # it is one of ROLES


def _part(value: object, where: str, role: str, files: Attachments) -> str | Media:
    part = json_object(value, where)
    field = text(part, "type", where)
    if field == "text":
        return text(part, "text", where)
    if field not in MEDIA_PARTS:
        raise ValueError(f"{where}.type must be text, {' or '.join(MEDIA_PARTS)}, not {shown(field)}")
    kind = MEDIA_PARTS[field]
    if role != "user":
        raise ValueError(f"{where} is of type {field} in a message of the {role}: only user messages may hold media")
    if part.get(field) is None:
        raise ValueError(f"{where}.{field} is missing")
    url = text(json_object(part[field], f"{where}.{field}"), "url", f"{where}.{field}")
    try:
        return files.load(url, kind)
    except ValueError as error:
        raise ValueError(f"{where}.{field}.url {error}") from error


def _joined(message: Message) -> str:
    return "".join(part for part in message.content if isinstance(part, str))
