"""Hash a stream of requests, so that two runs can prove that theirs are equal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from blake3 import blake3

from workloads.records import Conversation, Media, Turn


def fingerprint(conversations: Iterable[Conversation]) -> str:
    """BLAKE3 (hex) of every prompt, medium and answer key, in order.

    Each piece is preceded by its length and each list by its count, so no two streams share an encoding.
    """
    digest = blake3()
    for conversation in conversations:
        for piece in _conversation(conversation):
            digest.update(len(piece).to_bytes(8, "big"))
            digest.update(piece)
    return digest.hexdigest()


def _conversation(conversation: Conversation) -> Iterator[bytes]:
    yield from _texts(conversation.id, conversation.cluster_id, conversation.system)
    if conversation.history:
        yield b"history"  # no count is as short
        yield _count(len(conversation.history))
        for message in conversation.history:
            yield message.role.encode()
            yield from _content(message.content)
    yield _count(len(conversation.turns))
    for turn in conversation.turns:
        yield from _turn(turn)


def _turn(turn: Turn) -> Iterator[bytes]:
    yield from _texts(turn.id, turn.family, turn.answer.metric)
    yield _count(len(turn.answer.accepted))
    yield from _texts(*turn.answer.accepted)
    if turn.answer.choices:
        yield b"choices"  # no count is as short
        yield _count(len(turn.answer.choices))
        yield from _texts(*turn.answer.choices)
    if turn.answer_begins:
        yield from _texts("begins", turn.answer_begins)  # no count is as short
    paces = {"arrival": turn.arrival_s, "think": turn.think_s, "output": turn.output_tokens}
    for name, pace in paces.items():
        if pace is not None:
            yield from _texts(name, repr(pace))  # no count is as short
    yield from _content(turn.content)


def _content(content: Sequence[str | Media]) -> Iterator[bytes]:
    yield _count(len(content))
    for part in content:
        if isinstance(part, str):
            yield from _texts("text", part)
        else:
            yield part.kind.encode()
            yield part.data


def _texts(*texts: str) -> Iterator[bytes]:
    return (text.encode() for text in texts)


def _count(count: int) -> bytes:
    return count.to_bytes(8, "big")
