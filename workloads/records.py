"""The vocabulary of a workload: media, turns, conversations and their answer keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from workloads.judgement import Judgement

MediaKind = Literal["image", "video"]
Popularity = Literal["own", "even", "zipf"]
"""How media come back: every case has its own, all cases alike, or some of them often."""
Recur = Literal["none", "prefix", "questions", "shuffle"]  # how media of data sets come back, see datasets/recur.py

NO_REPLIES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Media:
    """One picture, document page or video clip, as the encoded bytes a client would send.

    Attributes:
        kind: ``image``, or ``video`` for an animated file whose frames belong together.
        data: the encoded file (PNG, JPEG, APNG, ...); two media are the same iff their bytes are.
        name: what a person calls it, for messages and reports; never an identity.
        content_share: share (0..1) of its area that carries content, or None when unknown.
    """

    kind: MediaKind
    data: bytes
    name: str
    content_share: float | None = None


@dataclass(frozen=True)
class Answer:
    """The answer key of one turn: the accepted texts and the metric that compares them.

    Attributes:
        accepted: the gold texts; none where nobody knows the answer, and then there is no score.
        metric: a key of ``workloads.scoring.METRICS``.
        choices: the texts of the options that the question offers, lettered A, B, ... in this order.
        scorer: judges in place of ``metric``, which then only names it: benchmarks that bring a scorer of their own.
        seed: of the guesses of scorers that guess; the id of the request.
    """

    accepted: tuple[str, ...]
    metric: str
    choices: tuple[str, ...] = field(default=(), repr=False)
    scorer: Callable[[str, Answer], Judgement] | None = field(default=None, repr=False, compare=False)
    seed: str = field(default="", repr=False, compare=False)

    @property
    def has_gold(self) -> bool:
        """Whether an answer can be scored; otherwise it can only agree with the reference's or not."""
        return bool(self.accepted)

    @property
    def gold(self) -> str:
        """The text put into the history when a conversation goes on; there must be one."""
        return self.accepted[0]


@dataclass(frozen=True)
class Turn:
    """One request of a conversation: what the user says now, and the answer expected.

    Attributes:
        id: unique in its workload stream.
        content: text and media in the order they are sent.
        answer: the answer key.
        family: the kind of question, for break-downs.
        answer_begins: the first words of the assistant's answer, given with the request; the model goes on from there,
            and only what it adds is compared with the answer key.
        arrival_s: seconds from the beginning of the stream until it is sent, for load; None where nothing says.
        think_s: seconds between the answer before it and this request, for load; None where nothing says.
        output_tokens: how long the answer is to be, for load; None where nothing says.
    """

    id: str
    content: tuple[str | Media, ...]
    answer: Answer
    family: str
    answer_begins: str = ""
    arrival_s: float | None = None
    think_s: float | None = None
    output_tokens: int | None = None

    @property
    def media(self) -> tuple[Media, ...]:
        """The media of this turn, in order."""
        return tuple(part for part in self.content if isinstance(part, Media))

    def without_media(self) -> Turn:
        """The same question, without its media."""
        return replace(self, content=_texts(self.content))


@dataclass(frozen=True)
class Message:
    """One message of a chat prompt."""

    role: Literal["system", "user", "assistant"]
    content: tuple[str | Media, ...]


def _texts(content: tuple[str | Media, ...]) -> tuple[str | Media, ...]:
    return tuple(part for part in content if isinstance(part, str))


def media_in(messages: Iterable[Message]) -> tuple[Media, ...]:
    """Every medium of a prompt, in order, repeats included."""
    return tuple(part for message in messages for part in message.content if isinstance(part, Media))


@dataclass(frozen=True)
class Conversation:
    """Turns that share a history. What is under one ``cluster_id`` is not independent.

    Attributes:
        history: what was said before the first turn; nothing where a conversation begins with it.
    """

    id: str
    cluster_id: str
    system: str
    turns: tuple[Turn, ...]
    history: tuple[Message, ...] = ()

    def without_media(self) -> Conversation:
        """The same questions, without their media."""
        history = tuple(replace(message, content=_texts(message.content)) for message in self.history)
        return replace(self, turns=tuple(turn.without_media() for turn in self.turns), history=history)

    def prompt(self, turn_index: int, replies: Mapping[str, str] = NO_REPLIES) -> tuple[Message, ...]:
        """The messages that turn ``turn_index`` is answered from: the history holds the first gold answers.

        The last message is the user's, or the beginning of the assistant's answer where the turn gives one.

        Args:
            turn_index: which turn.
            replies: by turn id, what stands in the history for turns without gold answers; nothing for those not in it.
        """
        messages = [*([Message("system", (self.system,))] if self.system else []), *self.history]
        for turn in self.turns[:turn_index]:
            reply = turn.answer.gold if turn.answer.has_gold else replies.get(turn.id, "")
            said = " ".join(part for part in (turn.answer_begins, reply) if part)
            messages += [Message("user", turn.content), Message("assistant", (said,))]
        asked = self.turns[turn_index]
        messages.append(Message("user", asked.content))
        if asked.answer_begins:
            messages.append(Message("assistant", (asked.answer_begins,)))
        return tuple(messages)
