"""A tokenizer for a model without files: any text encodes, and special tokens have their published ids."""

from __future__ import annotations

import json

from tokenizers import AddedToken, Tokenizer
from transformers import PreTrainedTokenizerFast

from runners.builtin.tokenizer import SPECIAL_TOKENS, build_tokenizer
from runners.models.shapes.catalogue import Family, Prompt

END, PAD = "<|im_end|>", "<|endoftext|>"

CHAT_TEMPLATE = """
{%- macro medium(kind) %}{{ image if kind == 'image' else video }}{% endmacro %}
{%- if system and messages[0].role != 'system' %}{{ '<|im_start|>system\\n' + system + '<|im_end|>\\n' }}{% endif %}
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' }}
    {%- set parts = [{'type': 'text', 'text': message.content}] if message.content is string else message.content %}
    {%- for kind in ('image', 'video') if media_first %}
        {%- for part in parts if part.type == kind %}{{ medium(kind) }}{% endfor %}
    {%- endfor %}
    {%- for part in parts %}
        {%- if part.type == 'text' %}{{ part.text }}{% elif not media_first %}{{ medium(part.type) }}{% endif %}
    {%- endfor %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""


def build_shape_tokenizer(family: Family) -> PreTrainedTokenizerFast:
    """The embedded model's tokenizer with a family's special tokens and its prompts.

    Words that the workloads write are one token, as they are for published tokenizers; other text is one token for each
    byte, so prompts of other text come out longer than in reality.
    """
    told = json.loads(build_tokenizer().backend_tokenizer.to_str())
    told["added_tokens"] = []
    vocabulary = {token: number for token, number in told["model"]["vocab"].items() if token not in SPECIAL_TOKENS}
    told["model"]["vocab"] = {**vocabulary, **family.tokens}
    tokenizer = Tokenizer.from_str(json.dumps(told))
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in family.tokens])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        extra_special_tokens=list(family.tokens),
        model_specific_special_tokens=dict(family.names),
    )
    fast.chat_template = chat_template(family.prompt)
    return fast


def chat_template(prompt: Prompt) -> str:
    """The template that writes prompts like ``prompt``."""
    told = {name: json.dumps(value) for name, value in vars(prompt).items()}
    return "".join(f"{{%- set {name} = {value} %}}" for name, value in told.items()) + CHAT_TEMPLATE
