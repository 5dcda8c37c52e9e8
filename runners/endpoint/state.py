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
    kv = hits.kv_tokens
    if state == "cold":
        if by_prefix:
            return True, f"named cold, but {reused} tokens of the prompt were cached, media among them"
        if any(by_content) or kv:
            return True, "named cold, but the server's caches held media of it"
        return by_prefix is not None or bool(by_content), None
    if state == "same-image":
        if by_prefix:
            return True, f"named same-image, but {reused} tokens came with an equal prefix, media among them"
        if by_content and not any(by_content) and not kv:
            return True, "named same-image, but no cache of the server held its media"
        return bool(by_content), None
    if by_prefix is False:
        return True, f"named repeat, but no more than {reused} tokens of the prompt were cached"
    return by_prefix is not None, None


def _reused_tokens(usage: Usage, hits: Hits) -> int | None:
    """Tokens of the prompt that came with an equal prefix; None where the server does not tell."""
    details = usage.prompt_tokens_details
    told = [count for count in (details.cached_tokens if details else None, hits.prefix_tokens) if count is not None]
    return max(told) if told else None


def most_text_tokens(messages: Sequence[Message], usage: Usage) -> int:
    """The most tokens that may stand before the first medium: more of them cached means that a medium was.

    From the server's own count of media tokens where it gives one; else a token of text takes at least a byte.
    """
    details = usage.prompt_tokens_details
    if details is not None and details.multimodal_tokens and usage.prompt_tokens is not None:
        return usage.prompt_tokens - sum(details.multimodal_tokens.values())
    length = TEMPLATE_TOKENS
    for message in messages:
        for part in message.content:
            if not isinstance(part, str):
                return length
            length += len(part.encode())
    return length
