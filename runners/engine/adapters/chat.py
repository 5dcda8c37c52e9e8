"""The chat template: messages rendered to token ids with placeholders, tokenised as by the family's processor."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from runners.engine.adapters.base import RenderedPrompt
from runners.engine.errors import MediaError, PromptError, UnsupportedModel
from workloads.records import MediaKind, Message, media_in


def render(
    tokenizer: Any,
    messages: Sequence[Message],
    holes: Mapping[MediaKind, str],
    around: Mapping[str, str] = MappingProxyType({}),
) -> RenderedPrompt:
    """Apply the chat template and cut its tokens at the placeholders.

    A last message of the assistant is the beginning of the answer: the prompt ends with it.

    Args:
        holes: the placeholder of each kind of medium that the model supports.
        around: text by which the family's processor replaces a placeholder before it tokenises; contains it.

    Raises:
        MediaError: a medium of a kind that the model does not support.
        PromptError: the template refuses the messages, or a text contains a placeholder.
    """
    media = media_in(messages)
    for item in media:
        if item.kind not in holes:
            raise MediaError(f"{item.name}: this model takes no {item.kind}")
    chat = [{"role": message.role, "content": _parts(message)} for message in messages]
    begun = bool(messages) and messages[-1].role == "assistant"
    try:
        text: str = tokenizer.apply_chat_template(
            chat, tokenize=False, add_generation_prompt=not begun, continue_final_message=begun
        )
        text.encode()  # a lone surrogate has no UTF-8, and no tokens
    except ValueError as error:
        raise PromptError(f"the prompt cannot be rendered ({error})") from error
    for token, whole in around.items():
        text = text.replace(token, whole)
    starts = tokenizer.bos_token is not None and text.startswith(tokenizer.bos_token)
    ids = encoded(tokenizer, text, special=not starts)
    kinds = {tokenizer.convert_tokens_to_ids(token): kind for kind, token in holes.items()}
    cuts = [index for index, token in enumerate(ids) if token in kinds]
    if Counter(kinds[ids[cut]] for cut in cuts) != Counter(item.kind for item in media):
        raise PromptError("a text of the prompt contains the token that stands for an image or a video; remove it")
    waiting = {kind: iter([item for item in media if item.kind == kind]) for kind in holes}
    in_order = tuple(next(waiting[kinds[ids[cut]]]) for cut in cuts)  # a template may put images before videos
    borders = zip([0, *(cut + 1 for cut in cuts)], [*cuts, len(ids)], strict=True)
    return RenderedPrompt(tuple(tuple(ids[start:end]) for start, end in borders), in_order)


def encoded(tokenizer: Any, text: str, special: bool = False) -> list[int]:
    """Tokenise a text; with ``special`` including the tokens that the tokenizer adds to every text."""
    ids: list[int] = tokenizer.encode(text, add_special_tokens=special)
    return ids


def require_chat(tokenizer: Any, expected: Mapping[str, int]) -> None:
    """UnsupportedModel for a tokenizer without the model's placeholders or without a chat template."""
    for token, number in expected.items():
        if tokenizer.get_vocab().get(token) != number:
            raise UnsupportedModel(f"its tokenizer does not encode {token} as {number}: it is missing or another one")
    if not tokenizer.chat_template:
        raise UnsupportedModel("its tokenizer has no chat template")


def adopt_template(tokenizer: Any, directory: Path) -> None:
    """Give a tokenizer the chat template of its model's processor, if that has one of its own.

    ``chat_template.jinja`` is the tokenizer's already; older checkpoints keep the template in a file of the processor,
    beside a tokenizer that has none, or that of the text model alone.
    """
    for name in ("processor_config.json", "chat_template.json"):
        file = directory / name
        template = json.loads(file.read_text(encoding="utf-8")).get("chat_template") if file.is_file() else None
        if template is not None:
            tokenizer.chat_template = template
            return


def _parts(message: Message) -> list[dict[str, str]]:
    return [
        {"type": "text", "text": part} if isinstance(part, str) else {"type": part.kind} for part in message.content
    ]
