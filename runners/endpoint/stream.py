"""Read the events of a streamed chat completion: what was said when, and what the server tells of its work.

Dialects differ, see docs/serving.md: the first chunk may hold a role alone, usage may come with the last chunk of text,
behind it or with each, ``[DONE]`` may be missing. An answer is whole once a reason to finish or ``[DONE]`` came.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from annotated_types import Interval

from runners.endpoint.first_tokens import FirstTokens, TokenLogprob
from workloads.errors import UsageError
from workloads.reading import in_one_line, keys, read_json

DONE = "[DONE]"
MOST_TEXT = 4 * 2**20  # characters of an answer
LONGEST_REASON = 300
LONGEST_FINISH = 40
BROKEN_OFF = ("abort", "error")
"""Reasons to finish with which servers end an answer that is not whole."""

Count = Annotated[int, Interval(ge=0, le=1 << 62)]


class BadStream(Exception):
    """What a server sent is no answer; the message says why, in one line."""


@keys("ignore")
@dataclass(frozen=True)
class PromptDetails:
    """What became of the prompt; None where the server does not tell."""

    cached_tokens: Count | None = None
    multimodal_tokens: dict[str, Count] | None = None


@keys("ignore")
@dataclass(frozen=True)
class Usage:
    """Tokens as the server counts them."""

    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    prompt_tokens_details: PromptDetails | None = None

    @property
    def cached_tokens(self) -> int | None:
        """Tokens of the prompt that came from a cache; None where the server does not tell."""
        return None if self.prompt_tokens_details is None else self.prompt_tokens_details.cached_tokens


NO_USAGE = Usage()


@keys("ignore")
@dataclass(frozen=True)
class Delta:
    """What a chunk adds to the answer."""

    content: str | None = None


NOTHING = Delta()


@keys("ignore")
@dataclass(frozen=True)
class Logprobs:
    """Of the tokens of a chunk."""

    content: tuple[TokenLogprob, ...] | None = None


@keys("ignore")
@dataclass(frozen=True)
class Choice:
    """One of the answers that a chunk goes on with; we ask for one."""

    delta: Delta = NOTHING
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


@keys("ignore")
@dataclass(frozen=True)
class Chunk:
    """One event of a stream."""

    choices: tuple[Choice, ...] = ()
    usage: Usage | None = None
    error: dict[str, Any] | str | None = None
    message: str | None = None  # of an error, where it is the event itself
    object: str | None = None


@dataclass
class Answer:
    """The answer as far as it has come.

    Attributes:
        first_at, last_at: seconds on the reader's clock at which its first text came, and its last one or its end.
        ended: whether the server said so.
    """

    pieces: list[str] = field(default_factory=list)
    first_at: float | None = None
    last_at: float | None = None
    usage: Usage = NO_USAGE
    first_tokens: FirstTokens | None = None
    finish_reason: str | None = None
    ended: bool = False
    _length: int = 0

    @property
    def text(self) -> str:
        """All that was said."""
        return "".join(self.pieces)

    @property
    def whole(self) -> bool:
        """Whether nothing is missing."""
        return self.ended or self.finish_reason is not None

    def take(self, data: str, at: float) -> None:
        """Take an event in that came ``at`` so many seconds.

        Raises:
            BadStream: it is no event of such a stream, tells of an error, or the answer is absurdly long.
        """
        if data.strip() == DONE:
            self.ended = True
            return
        try:
            chunk = read_json(data.encode(), Chunk)
        except UsageError as error:
            raise BadStream(f"an event that cannot be read: {in_one_line(str(error))[:LONGEST_REASON]}") from error
        if chunk.error is not None or chunk.object == "error":
            raise BadStream(f"an error: {words_of(chunk.error if chunk.error is not None else chunk.message)}")
        if chunk.usage is not None:
            self.usage = chunk.usage
        for choice in chunk.choices[:1]:
            self._add(choice, at)

    def _add(self, choice: Choice, at: float) -> None:
        if choice.finish_reason in BROKEN_OFF:
            raise BadStream(f"that it broke the answer off ({choice.finish_reason})")
        if choice.finish_reason is not None:
            self.finish_reason = in_one_line(choice.finish_reason)[:LONGEST_FINISH]
            self.last_at = at
        if not choice.delta.content:
            return
        if self.first_at is None:
            self.first_at = at
            told = choice.logprobs.content if choice.logprobs is not None else None
            self.first_tokens = FirstTokens.of(told[0]) if told else None
        self.last_at = at
        self.pieces.append(choice.delta.content)
        self._length += len(choice.delta.content)
        if self._length > MOST_TEXT:
            raise BadStream(f"an answer of more than {MOST_TEXT} characters")


def words_of(error: object) -> str:
    """The server's own words for an error, in one bounded line."""
    inner = error.get("message", error) if isinstance(error, dict) else error
    return in_one_line(str(inner))[:LONGEST_REASON] or "without a word"
