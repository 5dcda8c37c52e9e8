"""Judge whether a server's caches were in the state that a request was meant to meet.

The commonest error in published benchmarks is a warm cache called cold. So what the server tells is compared with what
the request is named for; where it tells nothing, nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Sequence

from runners.endpoint.counters import Hits
from runners.endpoint.options import State
from runners.endpoint.stream import Usage
from workloads.records import Message, media_in

TEMPLATE_TOKENS = 128
"""Most tokens that a chat template puts before the first medium, apart from the messages' own text."""


def fault(state: State, messages: Sequence[Message], usage: Usage, hits: Hits) -> tuple[bool, str | None]:
    """Check the state of the caches that a request met.

    Args:
        state: meant; ``stream`` stands for none in particular.
        usage: what the server told with the answer.
        hits: what its counters told around the request.

    Returns:
        Whether anything could be checked, and what was wrong.
    """
    if state == "stream" or not media_in(messages):
        return False, None
    reused = _reused_tokens(usage, hits)
    by_prefix = None if reused is None else reused > most_text_tokens(messages, usage)
    by_content = [count for count in (hits.preprocessing_hits, hits.encoder_hits) if count is not None]
    media = [(medium.kind, medium.data) for medium in media_in(messages)]
    distinct = len(set(media))
    stored = hits.kv_tokens is not None and hits.kv_tokens > most_text_tokens(messages, usage)
    if state == "cold":
        if by_prefix:
            return True, f"named cold, but {reused} tokens of the prompt were cached, media among them"
        if max(by_content, default=0) > len(media) - distinct or stored:  # a repeated medium is found within the prompt
            return True, "named cold, but the server's caches held media of it"
        return by_prefix is not None or bool(by_content), None
    if state == "same-image":
        if by_prefix:
            return True, f"named same-image, but {reused} tokens came with an equal prefix, media among them"
        if by_content and max(by_content) < distinct and not stored:
            return True, f"named same-image, but the server's caches held {max(by_content)} of its {distinct} media"
        return bool(by_content) or stored, None
    if reused is None or by_prefix or (usage.prompt_tokens is not None and 2 * reused > usage.prompt_tokens):
        return reused is not None, None
    return True, f"named repeat, but no more than {reused} tokens of the prompt were cached"


def _reused_tokens(usage: Usage, hits: Hits) -> int | None:
    """Tokens of the prompt that came with an equal prefix; None where the server does not tell.

    What came from another store may be among the tokens that an answer calls cached, and is no prefix.
    """
    cached = usage.cached_tokens
    without_stored = None if cached is None else max(0, cached - (hits.kv_tokens or 0))
    known = [count for count in (without_stored, hits.prefix_tokens) if count is not None]
    return max(known) if known else None


def most_text_tokens(messages: Sequence[Message], usage: Usage) -> int:
    """The most tokens that may stand before the first medium: more of them cached means that a medium was.

    A token of text takes at least a byte; where the server counts the tokens of media, all others are a bound, too.
    """
    length = TEMPLATE_TOKENS
    for message in messages:
        for part in message.content:
            if not isinstance(part, str):
                return min(length, _tokens_of_text(usage, length))
            length += len(part.encode())
    return length


def _tokens_of_text(usage: Usage, otherwise: int) -> int:
    details = usage.prompt_tokens_details
    if details is None or not details.multimodal_tokens or usage.prompt_tokens is None:
        return otherwise
    return usage.prompt_tokens - sum(details.multimodal_tokens.values())
