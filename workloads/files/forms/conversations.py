r"""Conversations in the form of LLaVA's training data and ShareGPT.

    {"id": "17", "image": "17.jpg", "conversations": [
        {"from": "human", "value": "<image>\nWhat is this?"},
        {"from": "gpt", "value": "A receipt."}]}

Of haotian-liu/LLaVA, ``docs/Finetune_Custom_Data.md``. ``image`` and ``video`` are a path or a list of them; each
stands where its placeholder does, or all before the first question where there is none. Every reply is the answer key
of its question, scored by the words that it shares unless ``metric`` names another; a question at the end has no key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from workloads.files.attachments import Attachments
from workloads.files.forms.answers import read_metric, refuse_answer
from workloads.files.forms.fields import items, json_object, text, texts
from workloads.files.forms.talk import Exchange, conversation
from workloads.media.pictures import shown
from workloads.records import Answer, Conversation, Media, MediaKind

SPEAKERS = {"system": "system", "human": "human", "user": "human", "gpt": "gpt", "assistant": "gpt"}
KINDS: tuple[MediaKind, ...] = ("image", "video")
PLACEHOLDER = re.compile(r"\n?<(image|video)>\n?")
METRIC = "f1"


def read_conversations(data: dict[str, Any], default_id: str, files: Attachments) -> Conversation:
    """See ``workloads.files.forms.ReadLine``."""
    refuse_answer(data, "in conversations, replies are the answers")
    said = [_said(item, f"conversations[{index}]") for index, item in enumerate(items(data, "conversations"))]
    system = said[0][1] if said[0][0] == "system" else ""
    talk = said[1:] if said[0][0] == "system" else said
    _require_order([speaker for speaker, _ in talk], first=len(said) - len(talk))
    questions, replies = [value for _, value in talk[::2]], [value for _, value in talk[1::2]]
    metric = read_metric(data, METRIC)
    answers = [Answer((reply,), metric) for reply in replies]
    answers += [Answer((), metric)] * (len(questions) - len(replies))
    contents = _placed(questions, {kind: _media(data, kind, files) for kind in KINDS})
    return conversation(data, default_id, system, [Exchange(*pair) for pair in zip(contents, answers, strict=True)])


def _said(value: object, where: str) -> tuple[str, str]:
    entry = json_object(value, where)
    speaker = text(entry, "from", where)
    if speaker not in SPEAKERS:
        raise ValueError(f"{where}.from must be one of {', '.join(SPEAKERS)}, not {shown(speaker)}")
    words = text(entry, "value", where)
    if not words.strip():
        raise ValueError(f"{where}.value is empty")
    return SPEAKERS[speaker], words


def _require_order(speakers: list[str], first: int) -> None:
    for index, speaker in enumerate(speakers):
        expected = ("human", "gpt")[index % 2]
        if speaker != expected:
            raise ValueError(
                f"conversations[{first + index}].from must be '{expected}': "
                "after an optional system text, human and gpt take turns"
            )
    if not speakers:
        raise ValueError("conversations must have something that a human says")


def _media(data: dict[str, Any], kind: MediaKind, files: Attachments) -> list[Media]:
    if data.get(kind) is None:
        return []
    several = isinstance(data[kind], list)
    loaded = []
    for index, url in enumerate(texts(data, kind) if several else (text(data, kind, expected="a text or a list"),)):
        try:
            loaded.append(files.load(url, kind))
        except ValueError as error:
            raise ValueError(f"{kind}{f'[{index}]' if several else ''} {error}") from error
    return loaded


def _placed(questions: list[str], media: dict[MediaKind, list[Media]]) -> list[tuple[str | Media, ...]]:
    """The questions with their media where the placeholders are."""
    for kind in KINDS:
        places, held = sum(question.count(f"<{kind}>") for question in questions), len(media[kind])
        if places and places != held:
            raise ValueError(f"{kind} names {held} files, but <{kind}> is said {places} times: they must agree")
    left = {kind: iter(media[kind]) for kind in KINDS}
    contents = [tuple(_parts(question, left)) for question in questions]
    unplaced = [medium for kind in KINDS for medium in left[kind]]
    return [(*unplaced, *contents[0]), *contents[1:]]


def _parts(question: str, left: dict[MediaKind, Iterator[Media]]) -> Iterator[str | Media]:
    """Texts and media in turn; a line break beside a placeholder is part of it."""
    for index, piece in enumerate(PLACEHOLDER.split(question)):
        if index % 2:
            yield next(left[piece])  # type: ignore[index]  # it is one of KINDS
        elif piece:
            yield piece
