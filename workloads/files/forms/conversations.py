r"""Conversations in the form of LLaVA's training data and ShareGPT.

    {"id": "17", "image": "17.jpg", "conversations": [
        {"from": "human", "value": "<image>\nWhat is this?"},
        {"from": "gpt", "value": "A receipt."}]}

Of haotian-liu/LLaVA, ``docs/Finetune_Custom_Data.md``. ``image``, ``images``, ``video`` and ``videos`` are a path or a
list of them; each stands where its placeholder does, or all before the first question where there is none. Every reply
is the answer key of its question, scored by the words that it shares unless ``metric`` names another; a question at the
end has no key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import MinLen
from typing_extensions import TypedDict

from workloads.files.attachments import Attachments
from workloads.files.forms.answers import refuse_answer
from workloads.files.forms.beside import KINDS, LineWithMedia, count, fill, require_agreement, slots
from workloads.files.forms.exchanges import Exchange, conversation
from workloads.files.forms.line import read_line
from workloads.files.forms.unread import refuse_unread_media
from workloads.reading import Text, keys
from workloads.records import Answer, Conversation, Media, MediaKind

SPEAKERS = {"system": "system", "human": "human", "user": "human", "gpt": "gpt", "assistant": "gpt"}
METRIC = "f1"

Saying = TypedDict("Saying", {"from": Literal["system", "human", "user", "gpt", "assistant"], "value": Text})
keys(unknown="ignore")(Saying)


@dataclass(frozen=True, kw_only=True)
class ConversationLine(LineWithMedia):
    """A line of this form."""

    conversations: Annotated[tuple[Saying, ...], MinLen(1)]


def read_conversations(data: dict[str, Any], default_id: str, files: Attachments) -> Conversation:
    """See ``workloads.files.forms.ReadLine``."""
    line = read_line(data, ConversationLine)
    for index, saying in enumerate(data["conversations"]):
        refuse_unread_media(saying, ("from", "value"), f"conversations[{index}]")
    refuse_answer(line, "in conversations, replies are the answers")
    said = [(SPEAKERS[saying["from"]], saying["value"]) for saying in line.conversations]
    system = said[0][1] if said[0][0] == "system" else ""
    talk = said[1:] if said[0][0] == "system" else said
    _require_order([speaker for speaker, _ in talk], first=len(said) - len(talk))
    questions, replies = [value for _, value in talk[::2]], [value for _, value in talk[1::2]]
    metric = line.metric or METRIC
    answers = [Answer((reply,), metric) for reply in replies]
    answers += [Answer((), metric)] * (len(questions) - len(replies))
    contents = _placed(questions, line.load(files))
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


def _placed(questions: Sequence[str], media: Mapping[MediaKind, Sequence[Media]]) -> list[tuple[str | Media, ...]]:
    """The questions with their media where the placeholders are, or before the first where there are none."""
    contents = [tuple(slots(question)) for question in questions]
    unplaced = [medium for kind in KINDS if not count(contents, kind) for medium in media[kind]]
    placed = {kind: media[kind] if count(contents, kind) else () for kind in KINDS}
    require_agreement(contents, placed)
    first, *later = fill(contents, placed)
    return [(*unplaced, *first), *later]
