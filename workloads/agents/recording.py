r"""Read recorded requests of agents, in the form of H Company's H CUA Perf, with a window of screenshots of any size.

One JSON object per line is one chat request of a session:

    {"session_id": "0077", "delay": 717, "output_length": 352, "tools": [...], "messages": [
        {"role": "system", "content": "You are ..."},
        {"role": "user", "content": [{"type": "text", "text": "Open the form.\n[Image omitted by context cleaning]"}]},
        {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "click", "arguments": "{}"}}]},
        {"role": "tool", "content": [
            {"type": "image_url", "uuid": "9a1f", "image_url": {"url": "data:image/png;base64,..."}}]}]}

``delay`` is milliseconds since the answer before; the first request of a session has none. A record shows its newest
screenshot, older ones are a placeholder: they are restored from the records that show them, as AIPerf's loader of this
data set does (``n_screenshots``). A screenshot is a data URI, a path from the folder down, or the ``uuid`` of one
before it in the session.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Interval, MinLen

from workloads.files.attachments import Attachments
from workloads.files.forms.messages import Link
from workloads.reading import Text, check, keys
from workloads.records import Answer, Conversation, Media, Message, Turn

PLACEHOLDER = "[Image omitted by context cleaning]"
MOST_MS, MOST_TOKENS = 10**10, 10**9
SYSTEM_ROLES, SEEN_ROLES = ("system", "developer"), ("user", "tool")
Count = Annotated[int, Interval(ge=0, le=MOST_TOKENS)]
Milliseconds = Annotated[float, Interval(ge=0, le=MOST_MS)]


@keys(unknown="ignore")
@dataclass(frozen=True)
class Part:
    """One part of a message: a text or a screenshot."""

    type: Literal["text", "image_url"]
    text: str | None = None
    image_url: Link | None = None
    uuid: Text | None = None


@keys(unknown="ignore")
@dataclass(frozen=True)
class Called:
    """The name and the arguments of a tool that was called."""

    name: str
    arguments: str = "{}"


@keys(unknown="ignore")
@dataclass(frozen=True)
class ToolCall:
    """One call of a tool."""

    function: Called


@keys(unknown="ignore")
@dataclass(frozen=True)
class GivenMessage:
    """A message as it was sent."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | tuple[Part, ...] | None = None
    tool_calls: tuple[ToolCall, ...] | None = None


@keys(unknown="ignore")
@dataclass(frozen=True)
class Record:
    """One recorded request."""

    session_id: Text
    messages: Annotated[tuple[GivenMessage, ...], MinLen(1)]
    tools: tuple[Any, ...] | None = None
    output_length: Count | None = None
    delay: Milliseconds | None = None


@dataclass(frozen=True)
class Slot:
    """The place of a screenshot in a message; without the screenshot where the record leaves it out."""

    screenshot: Media | None


Piece = str | Slot


class Recording:
    """The requests of one session after the other, each with its last ``window`` screenshots.

    Args:
        files: where screenshots are read.
    """

    def __init__(self, files: Attachments, window: int) -> None:
        self._files = files
        self._window = window
        self._session = ""
        self._step = -1
        self._by_id: dict[str, Media] = {}
        self._shown: dict[int, Media] = {}
        self._slots = self._messages = 0

    def read(self, data: dict[str, Any]) -> tuple[str, int, Conversation]:
        """The session, the number of the request in it, and the request; ValueError for the first mistake."""
        record: Record = check(data, Record)
        if record.session_id != self._session:
            self._session, self._step = record.session_id, -1
            self._by_id.clear()
            self._forget()
        self._step += 1
        pieces = [list(self._pieces(given, f"messages[{place}]")) for place, given in enumerate(record.messages)]
        contents = self._restored(pieces)
        system, talk = _talk(record.messages, contents)
        if not talk or talk[-1].role != "user":
            raise ValueError("messages must end with what the agent saw: a message of the user or of a tool")
        turn = Turn(
            id=f"{self._session}/{self._step}",
            content=talk[-1].content,
            answer=Answer((), "exact-match"),
            family="step",
            think_s=None if record.delay is None else record.delay / 1e3,
            output_tokens=record.output_length,
        )
        told = "\n\n".join(filter(None, (system, _tools(record.tools))))
        conversation = Conversation(turn.id, f"session/{self._session}", told, (turn,), history=tuple(talk[:-1]))
        return self._session, self._step, conversation

    def _forget(self) -> None:
        self._shown.clear()
        self._slots = self._messages = 0

    def _pieces(self, given: GivenMessage, where: str) -> Iterator[Piece]:
        """Texts and places of screenshots of a message, its calls of tools last."""
        parts = (Part("text", given.content),) if isinstance(given.content, str) else given.content or ()
        for place, part in enumerate(parts):
            if part.type == "image_url":
                if given.role not in SEEN_ROLES:
                    raise ValueError(f"{where}.content[{place}] is a screenshot in a message of the {given.role}")
                yield Slot(self._screenshot(part, f"{where}.content[{place}]"))
            elif part.text is None:
                raise ValueError(f"{where}.content[{place}].text is missing")
            elif given.role in SEEN_ROLES:
                first, *later = part.text.split(PLACEHOLDER)
                yield from filter(None, [first])
                for text in later:
                    yield Slot(None)
                    yield from filter(None, [text])
            else:
                yield part.text
        for call in given.tool_calls or ():
            called = {"name": call.function.name, "arguments": call.function.arguments}
            yield f"\n<tool_call>\n{json.dumps(called, ensure_ascii=False)}\n</tool_call>"

    def _screenshot(self, part: Part, where: str) -> Media:
        if part.image_url is not None:
            medium = self._files.load(part.image_url.url, "image", f"{where}.image_url.url")
            if part.uuid is not None:
                self._by_id[part.uuid] = medium
            return medium
        if part.uuid is None or part.uuid not in self._by_id:
            raise ValueError(f"{where} names no screenshot: it needs image_url, or the uuid of one before it")
        return self._by_id[part.uuid]

    def _restored(self, messages: Sequence[Sequence[Piece]]) -> list[tuple[str | Media, ...]]:
        """The contents with the last screenshots in their places, and the placeholder in those of older ones.

        Places are numbered through a record. While history only grows, a number stands for the same screenshot in all
        records of a session; fewer places or messages than before mean that the agent began its history anew.
        """
        slots = [piece for pieces in messages for piece in pieces if isinstance(piece, Slot)]
        if len(slots) < self._slots or len(messages) < self._messages:
            self._forget()
        self._slots, self._messages = len(slots), len(messages)
        for number, slot in enumerate(slots):
            if slot.screenshot is not None:
                self._shown.setdefault(number, slot.screenshot)
        first = len(slots) - self._window
        self._shown = {number: medium for number, medium in self._shown.items() if number >= first}
        numbers = iter(range(len(slots)))
        return [
            tuple(self._shown.get(next(numbers), PLACEHOLDER) if isinstance(piece, Slot) else piece for piece in pieces)
            for pieces in messages
        ]


def _talk(given: Sequence[GivenMessage], contents: Sequence[tuple[str | Media, ...]]) -> tuple[str, list[Message]]:
    """The system's text, and the messages after it: what tools say is said by the user, neighbours of a role joined."""
    system: list[str] = []
    talk: list[Message] = []
    for message, content in zip(given, contents, strict=True):
        if message.role in SYSTEM_ROLES and not talk:
            system += [part for part in content if isinstance(part, str)]
            continue
        role: Literal["user", "assistant"] = "assistant" if message.role == "assistant" else "user"
        if talk and talk[-1].role == role:
            talk[-1] = Message(role, (*talk[-1].content, "\n", *content))
        else:
            talk.append(Message(role, content))
    return "\n\n".join(system), talk


def _tools(tools: Sequence[Any] | None) -> str:
    """The definitions of the tools, as text."""
    return f"# Tools\n\n{json.dumps(tools, ensure_ascii=False)}" if tools else ""
