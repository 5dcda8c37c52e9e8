"""The chat template: messages rendered to token ids with placeholders, tokenised as by the family's processor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from runners.engine.adapters.base import RenderedPrompt
from runners.engine.adapters.template import apply_template, require_template, template_file
from runners.engine.errors import MediaError, PromptError, PromptTooLong, UnsupportedModel
from workloads.records import MediaKind, Message, media_in

MOST_CHARACTERS = 16  # of a prompt, for each token of the context; English has four or five to a token


def render(
    tokenizer: Any,
    messages: Sequence[Message],
    holes: Mapping[MediaKind, str],
    context: int,
    around: Mapping[str, str] = MappingProxyType({}),
) -> RenderedPrompt:
    """Apply the chat template and cut its tokens at the placeholders.

    A last message of the assistant is the beginning of the answer: the prompt ends with it.

    Args:
        holes: the placeholder of each kind of medium that the model supports.
        context: the most tokens that the model takes. A text with far more characters is not tokenised.
        around: text by which the family's processor replaces a placeholder before it tokenises; contains it.

    Raises:
        MediaError: a medium of a kind that the model does not support.
        PromptError: the template refuses the messages or drops media, or a text contains a placeholder.
        PromptTooLong: there are more than ``MOST_CHARACTERS`` for each token of the context.
    """
    media = media_in(messages)
    for item in media:
        if item.kind not in holes:
            raise MediaError(f"{item.name}: this model takes no {item.kind}")
    texts = [part for message in messages for part in message.content if isinstance(part, str)]
    _require_characters(sum(map(len, texts)), context)
    chat = [{"role": message.role, "content": _parts(message)} for message in messages]
    text = apply_template(tokenizer, chat, begun=bool(messages) and messages[-1].role == "assistant")
    for token, whole in around.items():
        text = text.replace(token, whole)
    _require_characters(len(text), context)
    starts = tokenizer.bos_token is not None and text.startswith(tokenizer.bos_token)
    ids = encoded(tokenizer, text, special=not starts)
    kinds = {tokenizer.convert_tokens_to_ids(token): kind for kind, token in holes.items()}
    cuts = [index for index, token in enumerate(ids) if token in kinds]
    found, sent = Counter(kinds[ids[cut]] for cut in cuts), Counter(item.kind for item in media)
    if found != sent:
        if not any(token in part for part in texts for token in holes.values()) and found < sent:
            left_out = ", ".join(f"{sent[kind] - found[kind]} of {sent[kind]} {kind}s" for kind in sent - found)
            raise PromptError(f"{template_file(tokenizer)} leaves out {left_out}: it may be made for texts alone")
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
    require_template(tokenizer)


def _require_characters(number: int, context: int) -> None:
    """PromptTooLong for a text that no tokenizer would fit into the context."""
    if number > MOST_CHARACTERS * context:
        raise PromptTooLong(
            f"the prompt's {number} characters do not fit the model's context of {context} tokens: no more than "
            f"{MOST_CHARACTERS} for each are tokenised"
        )


def _parts(message: Message) -> list[dict[str, str]]:
    return [
        {"type": "text", "text": part} if isinstance(part, str) else {"type": part.kind} for part in message.content
    ]
