"""Hash a stream of requests, so that two runs can prove that theirs are equal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from blake3 import blake3

from workloads.records import Conversation, Turn


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
    yield _count(len(turn.content))
    for part in turn.content:
        if isinstance(part, str):
            yield from _texts("text", part)
        else:
            yield part.kind.encode()
            yield part.data


def _texts(*texts: str) -> Iterator[bytes]:
    return (text.encode() for text in texts)


def _count(count: int) -> bytes:
    return count.to_bytes(8, "big")
