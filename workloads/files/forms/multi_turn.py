"""What AIPerf calls ``multi_turn``: the turns of a session; their answers become its history.

    {"session_id": "s1", "turns": [
        {"text": "What is this?", "image": "17.jpg"},
        {"texts": ["And", "these?"], "images": ["18.jpg", "19.jpg"]}]}

Of ai-dynamo/aiperf, ``src/aiperf/dataset/loader/multi_turn.py``. Nobody says what the right answers are. Times between
turns and lengths of answers are not followed.
"""

from __future__ import annotations

from typing import Any

from workloads.files.attachments import Attachments
from workloads.files.forms.answers import DEFAULT_METRIC, refuse_answer
from workloads.files.forms.fields import items, json_object, path, text, unicode
from workloads.files.forms.talk import Exchange, conversation
from workloads.records import Answer, Conversation, Media, MediaKind

KINDS: tuple[MediaKind, ...] = ("image", "video")
NOT_READ = ("audio", "audios", "image_uuids")


def read_multi_turn(data: dict[str, Any], default_id: str, files: Attachments) -> Conversation:
    """See ``workloads.files.forms.ReadLine``. A first turn of the system stands before all others."""
    refuse_answer(data, "in turns, nobody says what is right")
    turns = [json_object(item, f"turns[{index}]") for index, item in enumerate(items(data, "turns"))]
    system = _system(turns[0], "turns[0]") if turns[0].get("role") == "system" else ""
    first = 1 if system else 0
    contents = [_content(turn, f"turns[{index}]", files) for index, turn in enumerate(turns) if index >= first]
    if not contents:
        raise ValueError("turns must have one of the user")
    unknown = Answer((), DEFAULT_METRIC)
    return conversation(data, default_id, system, [Exchange(content, unknown) for content in contents], "session_id")


def _system(turn: dict[str, Any], where: str) -> str:
    for kind in KINDS:
        for field, _ in _values(turn, kind, where):
            raise ValueError(f"{field} is of the system: only turns of the user may hold media")
    return "\n".join(_texts(turn, where))


def _content(turn: dict[str, Any], where: str, files: Attachments) -> tuple[str | Media, ...]:
    """The texts, then the pictures, then the videos, as AIPerf sends them."""
    if turn.get("role") not in (None, "user"):
        raise ValueError(f"{where}.role must be 'user', or 'system' in the first turn")
    for name in NOT_READ:
        if turn.get(name) is not None:
            raise ValueError(f"{where}.{name} is not supported: no model here takes it; remove it")
    media = [_load(url, field, kind, files) for kind in KINDS for field, url in _values(turn, kind, where)]
    content: tuple[str | Media, ...] = (*_texts(turn, where), *media)
    if not any(content):
        raise ValueError(f"{where} must have a text, an image or a video")
    return content


def _texts(turn: dict[str, Any], where: str) -> list[str]:
    return [value for _, value in _values(turn, "text", where)]


def _load(url: str, field: str, kind: MediaKind, files: Attachments) -> Media:
    try:
        return files.load(url, kind)
    except ValueError as error:
        raise ValueError(f"{field} {error}") from error


def _values(turn: dict[str, Any], name: str, where: str) -> list[tuple[str, str]]:
    """What ``name`` holds, or ``name`` with an s: texts, or objects with ``contents``; each with the path to it."""
    many = f"{name}s"
    if turn.get(name) is not None and turn.get(many) is not None:
        raise ValueError(f"{where}.{name} and {where}.{many} are both given: keep one")
    if turn.get(name) is not None:
        return [(path(where, name), text(turn, name, where))]
    if turn.get(many) is None:
        return []
    found: list[tuple[str, str]] = []
    for index, item in enumerate(items(turn, many, where)):
        place = f"{path(where, many)}[{index}]"
        held = [(place, item)]
        if isinstance(item, dict):
            held = [(f"{place}.contents[{number}]", part) for number, part in enumerate(items(item, "contents", place))]
        for field, value in held:
            if not isinstance(value, str):
                raise ValueError(f"{field} must be a text")
            found.append((field, unicode(value, field)))
    return found
