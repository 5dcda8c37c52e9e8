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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import MinLen
from typing_extensions import TypedDict

from workloads.files.attachments import Attachments
from workloads.files.forms.answers import refuse_answer
from workloads.files.forms.exchanges import Exchange, conversation
from workloads.files.forms.line import Line, SomeTexts
from workloads.reading import Text, check, keys
from workloads.records import Answer, Conversation, Media, MediaKind

SPEAKERS = {"system": "system", "human": "human", "user": "human", "gpt": "gpt", "assistant": "gpt"}
KINDS: tuple[MediaKind, ...] = ("image", "video")
PLACEHOLDER = re.compile(r"\n?<(image|video)>\n?")
METRIC = "f1"

Saying = TypedDict("Saying", {"from": Literal["system", "human", "user", "gpt", "assistant"], "value": Text})
keys(unknown="ignore")(Saying)


@dataclass(frozen=True, kw_only=True)
class ConversationLine(Line):
    """A line of this form."""

    conversations: Annotated[tuple[Saying, ...], MinLen(1)]
    image: str | SomeTexts | None = None
    video: str | SomeTexts | None = None


def read_conversations(data: dict[str, Any], default_id: str, files: Attachments) -> Conversation:
    """See ``workloads.files.forms.ReadLine``."""
    line = check(data, ConversationLine)
    refuse_answer(line, "in conversations, replies are the answers")
    said = [(SPEAKERS[saying["from"]], saying["value"]) for saying in line.conversations]
    system = said[0][1] if said[0][0] == "system" else ""
    talk = said[1:] if said[0][0] == "system" else said
    _require_order([speaker for speaker, _ in talk], first=len(said) - len(talk))
    questions, replies = [value for _, value in talk[::2]], [value for _, value in talk[1::2]]
    metric = line.metric or METRIC
    answers = [Answer((reply,), metric) for reply in replies]
    answers += [Answer((), metric)] * (len(questions) - len(replies))
    contents = _placed(
        questions, {"image": _media(line.image, "image", files), "video": _media(line.video, "video", files)}
    )
    return conversation(
        line, line.own_id(default_id), system, [Exchange(*pair) for pair in zip(contents, answers, strict=True)]
    )


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


def _media(urls: str | Sequence[str] | None, kind: MediaKind, files: Attachments) -> list[Media]:
    if isinstance(urls, str):
        return [files.load(urls, kind, kind)]
    return [files.load(url, kind, f"{kind}[{index}]") for index, url in enumerate(urls or ())]


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
