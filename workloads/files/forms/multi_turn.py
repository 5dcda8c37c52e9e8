"""What AIPerf calls ``multi_turn``: the turns of a session, whose answers become its history; and single turns.

    {"session_id": "s1", "turns": [
        {"text": "What is this?", "image": "17.jpg"},
        {"texts": ["And", "these?"], "images": ["18.jpg", "19.jpg"]}]}

Of ai-dynamo/aiperf, ``src/aiperf/dataset/loader``. Nobody says what the right answers are. Times between turns and
lengths of answers are not followed. What it calls ``single_turn`` and ``random_pool`` is one turn a line, to which an
answer may be added; a pool is asked in its order, and nothing is drawn from it.

    {"text": "What is this?", "image": "17.jpg", "answer": "A receipt"}
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any

from annotated_types import MinLen

from workloads.files.attachments import Attachments
from workloads.files.forms.answers import DEFAULT_METRIC, read_answer, refuse_answer
from workloads.files.forms.beside import KINDS, PLACEHOLDER, placed
from workloads.files.forms.exchanges import Exchange, conversation
from workloads.files.forms.line import Line, read_line
from workloads.files.forms.unread import refuse_unread_media
from workloads.reading import keys
from workloads.records import Answer, Conversation, Media

NOT_READ = ("audio", "audios", "image_uuids")


@keys(unknown="ignore")
@dataclass(frozen=True)
class Contents:
    """Several values as one."""

    contents: Annotated[tuple[str, ...], MinLen(1)]


Values = Annotated[tuple[str | Contents, ...], MinLen(1)]


@keys(unknown="ignore")
@dataclass(frozen=True, kw_only=True)
class TurnFields:
    """A turn as it is written: of each kind of content one value, or several under its name with an s."""

    role: str | None = None
    text: str | None = None
    texts: Values | None = None
    image: str | None = None
    images: Values | None = None
    video: str | None = None
    videos: Values | None = None
    audio: object = None
    audios: object = None
    image_uuids: object = None


@dataclass(frozen=True, kw_only=True)
class SingleLine(Line, TurnFields):
    """A line that is one turn."""


@dataclass(frozen=True, kw_only=True)
class SessionLine(Line):
    """A line of this form."""

    turns: Annotated[tuple[TurnFields, ...], MinLen(1)]


TURN_FIELDS = tuple(field.name for field in fields(TurnFields))


def read_multi_turn(data: dict[str, Any], default_id: str, files: Attachments) -> Conversation:
    """See ``workloads.files.forms.ReadLine``. A first turn of the system stands before all others."""
    line = read_line(data, SessionLine)
    for index, turn in enumerate(data["turns"]):
        refuse_unread_media(turn, TURN_FIELDS, f"turns[{index}]")
    refuse_answer(line, "in turns, nobody says what is right")
    system = _system(line.turns[0], "turns[0].") if line.turns[0].role == "system" else ""
    first = 1 if system else 0
    contents = [_content(turn, f"turns[{index}].", files) for index, turn in enumerate(line.turns) if index >= first]
    if not contents:
        raise ValueError("turns must have one of the user")
    unknown = Answer((), DEFAULT_METRIC)
    exchanges = [Exchange(content, unknown) for content in contents]
    return conversation(line, default_id if line.session_id is None else str(line.session_id), system, exchanges)


def read_single_turn(data: dict[str, Any], default_id: str, files: Attachments) -> Conversation:
    """See ``workloads.files.forms.ReadLine``."""
    line = read_line(data, SingleLine)
    exchange = Exchange(_content(line, "", files), read_answer(line))
    return conversation(line, line.own_id(default_id), "", [exchange])


def _system(turn: TurnFields, where: str) -> str:
    for kind in KINDS:
        for field, _ in _values(turn, kind, where):
            raise ValueError(f"{field} is of the system: only turns of the user may hold media")
    return "\n".join(_texts(turn, where))


def _content(turn: TurnFields, where: str, files: Attachments) -> tuple[str | Media, ...]:
    """The texts, then the pictures, then the videos, as AIPerf sends them; or in the places that the texts keep."""
    if turn.role not in (None, "user"):
        raise ValueError(f"{where}role must be 'user', or 'system' in the first turn")
    for name in NOT_READ:
        if getattr(turn, name) is not None:
            raise ValueError(f"{where}{name} is not supported: no model here takes it; remove it")
    media = {kind: [files.load(url, kind, field) for field, url in _values(turn, kind, where)] for kind in KINDS}
    texts = _texts(turn, where)
    if not any(texts) and not any(media.values()):
        raise ValueError(f"{where.removesuffix('.') or 'it'} must have a text, an image or a video")
    if not any(media.values()) and any(PLACEHOLDER.search(text) for text in texts):
        raise ValueError(f"{where}text says where an <image> or <video> stands, and there is none")
    return placed(texts, media)


def _texts(turn: TurnFields, where: str) -> list[str]:
    return [value for _, value in _values(turn, "text", where)]


def _values(turn: TurnFields, name: str, where: str) -> list[tuple[str, str]]:
    """What the field ``name`` and the one with an s hold, of which only one may be given; each with the path to it.

    ``where`` is what stands before a field's name: ``turns[0].``, or nothing.
    """
    one: str | None = getattr(turn, name)
    several: tuple[str | Contents, ...] | None = getattr(turn, f"{name}s")
    if one is not None and several is not None:
        raise ValueError(f"{where}{name} and {where}{name}s are both given: keep one")
    if one is not None:
        return [(f"{where}{name}", one)]
    values: list[tuple[str, str]] = []
    for index, item in enumerate(several or ()):
        place = f"{where}{name}s[{index}]"
        if isinstance(item, str):
            values.append((place, item))
        else:
            values += [(f"{place}.contents[{number}]", part) for number, part in enumerate(item.contents)]
    return values
