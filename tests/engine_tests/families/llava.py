"""LLaVA-1.5, tiny."""

from __future__ import annotations

from typing import Any

from tokenizers import AddedToken
from torch import Tensor
from transformers import LlamaTokenizer, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from runners.base import Request

EDGE, PATCH = 48, 8

# as published with llava-hf/llava-1.5-7b-hf: a message's pictures stand before its text
TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}"
    "{# Render all images first #}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}"
    "{# Render all text next #}"
    "{% if message['role'] != 'assistant' %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ content['text'] + ' '}}{% endfor %}"
    "{% else %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{% generation %}{{ content['text'] + ' '}}{% endgeneration %}{% endfor %}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
FILES = {  # the processor's, as published: the tokenizer has no template
    "chat_template.json": {"chat_template": TEMPLATE},
    "processor_config.json": {
        "processor_class": "LlavaProcessor",
        "image_token": "<image>",
        "num_additional_image_tokens": 1,
        "patch_size": PATCH,
        "vision_feature_select_strategy": "default",
    },
}


def llava() -> tuple[Any, Any, Any]:
    """Model, tokenizer and image processor."""
    tokenizer = build_tokenizer()
    tokens = tokenizer.get_vocab()
    config = LlavaConfig(
        text_config={
            "model_type": "llama",
            "vocab_size": len(tokenizer),
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 5,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "initializer_range": 0.1,
            "max_position_embeddings": 4096,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1000.0},
            "bos_token_id": tokens["<s>"],
            "eos_token_id": tokens["</s>"],
            "pad_token_id": tokens["<pad>"],
        },
        vision_config={
            "model_type": "clip_vision_model",
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "image_size": EDGE,
            "patch_size": PATCH,
            "initializer_range": 0.1,
            "projection_dim": 32,
        },
        image_token_index=tokens["<image>"],
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    size = {"height": EDGE, "width": EDGE}
    images = CLIPImageProcessorPil(size={"shortest_edge": EDGE}, crop_size=size)
    return LlavaForConditionalGeneration(config), tokenizer, images


def build_tokenizer() -> LlamaTokenizer:
    """Llama's: SentencePiece-style byte-level fallback, every text behind a mark of its beginning."""
    letters = ["▁", *map(chr, range(ord("!"), ord("~") + 1))]
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *letters]
    tokenizer = LlamaTokenizer({piece: index for index, piece in enumerate(pieces)}, [], pad_token="<pad>")
    tokenizer.add_tokens([AddedToken("<image>", special=True, normalized=False)], special_tokens=True)
    return tokenizer


def stock_inputs(lab: Any, request: Request) -> dict[str, Tensor]:
    """What the stock forward takes for a request: made by the family's processor."""
    config = lab.stock.config
    processor = LlavaProcessor(
        lab.images,
        lab.tokenizer,
        patch_size=config.vision_config.patch_size,
        vision_feature_select_strategy=config.vision_feature_select_strategy,
        chat_template=lab.tokenizer.chat_template or TEMPLATE,
        num_additional_image_tokens=int(config.vision_config.model_type == "clip_vision_model"),
    )
    inputs: dict[str, Tensor] = lab.processed(processor, request)
    return inputs
