"""The user's own requests: a file with one JSON object per line, in the form of OpenAI's chat messages.

    {"messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "receipts/17.jpg"}},
        {"type": "text", "text": "What is the total?"}]}],
     "answer": "12.90"}

A line may say ``answers`` (a list) in place of ``answer``, its ``id``, and a ``session_id``: lines that share one are
taken as dependent. Pictures are paths from the file's folder, or ``data:image/...;base64,`` URIs. Other fields are
ignored, except for those in ``NOT_YET``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from blake3 import blake3

from workloads.base import StreamOptions
from workloads.errors import UsageError
from workloads.pictures import Pictures, shown
from workloads.records import Answer, Conversation, Media, Message, Turn

LONGEST_LINE = 64 * 2**20  # bytes
METRIC = "exact-match"
NOT_YET = ("choices", "metric")  # they would change what is asked or how it is scored
ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class JsonlWorkload:
    """The requests of a file, in its order. Every user message is one, answered from what stands before it.

    Nothing is drawn: media recur as they do in the file, so ``seed``, ``reuse_rate`` and ``split`` change nothing, and
    a file with fewer than ``samples`` turns is not repeated.
    """

    name: str
    requests: tuple[Conversation, ...] = field(repr=False)
    metric: str = METRIC

    def conversations(self, options: StreamOptions) -> Iterator[Conversation]:
        """See ``workloads.base.Workload``."""
        left = options.samples
        for conversation in self.requests:
            if left <= 0:
                return
            yield replace(conversation, turns=conversation.turns[:left])
            left -= len(conversation.turns)


def open_jsonl(path: Path) -> JsonlWorkload:
    """Read and check a whole file, its pictures too.

    Raises:
        UsageError: the first mistake, with file, line and field.
    """
    pictures = Pictures(path.parent)
    requests: list[Conversation] = []
    taken: dict[str, int] = {}
    for number, line in _lines(path):
        try:
            conversation = _conversation(_parse(line), f"line-{number}", pictures)
            for turn in conversation.turns:
                if taken.setdefault(turn.id, number) != number:
                    raise ValueError(f"id {shown(turn.id)} is taken by line {taken[turn.id]}")
        except ValueError as error:
            raise UsageError(f"{path}, line {number}: {error}") from error
        requests.append(conversation)
    if not requests:
        raise UsageError(f"{path} is empty: it needs one JSON object per line, with messages and answer")
    return JsonlWorkload(path.name, tuple(requests))


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, numbered from 1."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE + 1), b""), 1):
                if len(line) > LONGEST_LINE:
                    raise UsageError(
                        f"{path}, line {number}: is longer than {LONGEST_LINE // 2**20} MiB; "
                        "keep pictures in files of their own"
                    )
                if line.strip():
                    yield number, line
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


# What follows raises ValueError with a sentence that begins with the name of the field, ``where``.


def _parse(line: bytes) -> dict[str, Any]:
    try:
        data = json.loads(line.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON ({error.msg}, column {error.colno})") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON ({error})") from error
    if not isinstance(data, dict):
        raise ValueError("must be a JSON object")
    return data


def _conversation(data: dict[str, Any], default_id: str, pictures: Pictures) -> Conversation:
    for name in NOT_YET:
        if data.get(name) is not None:
            raise ValueError(f"{name} is not supported yet: remove it, answers are compared by {METRIC}")
    given = _items(data, "messages")
    messages = [_message(item, f"messages[{index}]", pictures) for index, item in enumerate(given)]
    system = _joined(messages[0]) if messages[0].role == "system" else ""
    talk = messages[1:] if messages[0].role == "system" else messages
    _require_order(talk, first=len(messages) - len(talk))
    accepted = [*((_joined(reply),) for reply in talk[1::2]), _accepted(data)]
    own_id = _label(data, "id") or default_id
    last = len(accepted) - 1
    turns = tuple(
        Turn(own_id if index == last else f"{own_id}.{index}", user.content, Answer(texts, METRIC), "request")
        for index, (user, texts) in enumerate(zip(talk[::2], accepted, strict=True))
    )
    return Conversation(own_id, _cluster(data, own_id, turns), system, turns)


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


def _cluster(data: dict[str, Any], own_id: str, turns: Sequence[Turn]) -> str:
    """The session, else what is in the first medium, else nothing but this line."""
    session = _label(data, "session_id")
    if session is not None:
        return f"session/{session}"
    media = [medium for turn in turns for medium in turn.media]
    return f"media/{blake3(media[0].data).hexdigest()[:16]}" if media else f"request/{own_id}"


def _message(value: object, where: str, pictures: Pictures) -> Message:
    message = _object(value, where)
    role = _text(message, "role", where)
    if role not in ROLES:
        raise ValueError(f"{where}.role must be one of {', '.join(ROLES)}, not {shown(role)}")
    content: tuple[str | Media, ...]
    if isinstance(message.get("content"), list):
        parts = enumerate(message["content"])
        content = tuple(_part(part, f"{where}.content[{index}]", role, pictures) for index, part in parts)
    else:
        content = (_text(message, "content", where, "a text or a list of parts"),)
    if not any(content):
        raise ValueError(f"{where}.content is empty")
    return Message(role, content)  # type: ignore[arg-type]  # it is one of ROLES


def _part(value: object, where: str, role: str, pictures: Pictures) -> str | Media:
    part = _object(value, where)
    kind = _text(part, "type", where)
    if kind == "text":
        return _text(part, "text", where)
    if kind == "video_url":
        raise ValueError(f"{where}.type 'video_url' is not supported yet")
    if kind != "image_url":
        raise ValueError(f"{where}.type must be text or image_url, not {shown(kind)}")
    if role != "user":
        raise ValueError(f"{where} is an image in a message of the {role}: only user messages may hold images")
    image = _object(_required(part, "image_url", where), f"{where}.image_url")
    url = _text(image, "url", f"{where}.image_url")
    try:
        return pictures.load(url)
    except ValueError as error:
        raise ValueError(f"{where}.image_url.url {error}") from error


def _accepted(data: dict[str, Any]) -> tuple[str, ...]:
    names = [name for name in ("answer", "answers") if data.get(name) is not None]
    if len(names) != 1:
        raise ValueError("answer and answers are both given: keep one" if names else "answer or answers is missing")
    accepted = _items(data, "answers") if names == ["answers"] else [data["answer"]]
    if not all(isinstance(text, str) and text.strip() for text in accepted):
        raise ValueError(f"{names[0]} must be {'texts' if names == ['answers'] else 'a text'} and not empty")
    return tuple(_unicode(text, names[0]) for text in accepted)


def _label(data: dict[str, Any], name: str) -> str | None:
    """An optional name; a whole number will do."""
    value = data.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise ValueError(f"{name} must be a text or a whole number")
    return _unicode(str(value), name)


def _items(data: dict[str, Any], name: str) -> list[Any]:
    value = _required(data, name)
    if not isinstance(value, list) or not value:
        raise ValueError(f"{name} must be a list and not empty")
    return value


def _text(data: dict[str, Any], name: str, where: str, expected: str = "a text") -> str:
    value = _required(data, name, where)
    if not isinstance(value, str):
        raise ValueError(f"{where}.{name} must be {expected}")
    return _unicode(value, f"{where}.{name}")


def _required(data: dict[str, Any], name: str, where: str = "") -> object:
    if data.get(name) is None:
        raise ValueError(f"{where}.{name} is missing".removeprefix("."))
    return data[name]


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be an object")
    return value


def _unicode(text: str, where: str) -> str:
    """``text``, unless it holds half of a surrogate pair, which JSON can say and UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{where} is not valid Unicode") from error
    return text


def _joined(message: Message) -> str:
    return "".join(part for part in message.content if isinstance(part, str))
