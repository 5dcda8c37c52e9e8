"""From messages to token ids with holes for the media: the chat template, tokenised as the family's processor does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runners.engine.adapters.base import RenderedPrompt
from runners.engine.errors import MediaError, PromptError, UnsupportedModel
from workloads.records import MediaKind, Message, media_in


def render(tokenizer: Any, messages: Sequence[Message], holes: Mapping[MediaKind, str]) -> RenderedPrompt:
    """Apply the chat template and cut its tokens at the placeholders.

    Args:
        holes: the placeholder of each kind of medium that the model takes.

    Raises:
        MediaError: a medium of a kind that the model does not take.
        PromptError: the template refuses the messages, or a text contains a placeholder.
    """
    media = media_in(messages)
    for item in media:
        if item.kind not in holes:
            raise MediaError(f"{item.name}: this model takes no {item.kind}")
    chat = [{"role": message.role, "content": _parts(message)} for message in messages]
    try:
        text: str = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        text.encode()  # a lone surrogate has no UTF-8, and no tokens
    except ValueError as error:
        raise PromptError(f"the prompt cannot be rendered ({error})") from error
    starts = tokenizer.bos_token is not None and text.startswith(tokenizer.bos_token)
    ids = encoded(tokenizer, text, special=not starts)
    kinds = {tokenizer.convert_tokens_to_ids(token): kind for kind, token in holes.items()}
    cuts = [index for index, token in enumerate(ids) if token in kinds]
    if [kinds[ids[cut]] for cut in cuts] != [item.kind for item in media]:
        raise PromptError("a text of the prompt contains the token that stands for an image or a video; remove it")
    borders = zip([0, *(cut + 1 for cut in cuts)], [*cuts, len(ids)], strict=True)
    return RenderedPrompt(tuple(tuple(ids[start:end]) for start, end in borders), media)


def encoded(tokenizer: Any, text: str, special: bool = False) -> list[int]:
    """Token ids of a text, with what the tokenizer puts before every text where ``special``."""
    ids: list[int] = tokenizer.encode(text, add_special_tokens=special)
    return ids


def require_chat(tokenizer: Any, expected: Mapping[str, int]) -> None:
    """UnsupportedModel for a tokenizer without the model's placeholders or a chat template: its prompts are garbage."""
    for token, number in expected.items():
        if tokenizer.get_vocab().get(token) != number:
            raise UnsupportedModel(f"its tokenizer does not encode {token} as {number}: it is missing or another one")
    if not tokenizer.chat_template:
        raise UnsupportedModel("its tokenizer has no chat template")


def _parts(message: Message) -> list[dict[str, str]]:
    return [
        {"type": "text", "text": part} if isinstance(part, str) else {"type": part.kind} for part in message.content
    ]
