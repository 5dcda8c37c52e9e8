"""LLaVA-OneVision, tiny."""

from __future__ import annotations

from typing import Any

from tokenizers import AddedToken
from torch import Tensor
from transformers import LlavaOnevisionConfig, LlavaOnevisionForConditionalGeneration, LlavaOnevisionProcessor
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil

from runners.base import Request
from runners.builtin.tokenizer import build_tokenizer

NOISE = {"*language_model*bias": 0.3}
EDGE, PATCH = 32, 8
PINPOINTS = [[rows * EDGE, cols * EDGE] for rows in range(1, 4) for cols in range(1, 4)]

# as published with llava-hf/llava-onevision-qwen2-7b-ov-hf: a message's pictures and clips stand before its text
TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n'}}"
    "{# Render all images first #}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}"
    "{# Render all video then #}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'video') %}{{ '<video>\n' }}{% endfor %}"
    "{# Render all text next #}"
    "{% if message['role'] != 'assistant' %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] }}{% endfor %}"
    "{% else %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{% generation %}{{ content['text'] }}{% endgeneration %}{% endfor %}"
    "{% endif %}{{'<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def llava_onevision() -> tuple[Any, Any, Any]:
    """Model, tokenizer and image processor."""
    tokenizer = build_tokenizer()
    places = [AddedToken(token, special=True, normalized=False) for token in ("<image>", "<video>")]
    tokenizer.add_tokens(places, special_tokens=True)
    tokenizer.chat_template = TEMPLATE
    tokens = tokenizer.get_vocab()
    config = LlavaOnevisionConfig(
        text_config={
            "model_type": "qwen2",
            "vocab_size": len(tokenizer),
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 5,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "initializer_range": 0.1,
            "max_position_embeddings": 4096,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1000.0},
            "bos_token_id": None,
            "eos_token_id": tokens["<|im_end|>"],
            "pad_token_id": tokens["<|endoftext|>"],
        },
        vision_config={
            "model_type": "siglip_vision_model",
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": EDGE,
            "patch_size": PATCH,
            "vision_use_head": False,
        },
        image_token_index=tokens["<image>"],
        video_token_index=tokens["<video>"],
        image_grid_pinpoints=PINPOINTS,
        vision_aspect_ratio="anyres_max_4",
    )
    size = {"height": EDGE, "width": EDGE}
    images = LlavaOnevisionImageProcessorPil(size=size, image_grid_pinpoints=PINPOINTS)
    return LlavaOnevisionForConditionalGeneration(config), tokenizer, images


class Processor(LlavaOnevisionProcessor):
    """The family's own, but for videos: that part needs torchvision."""

    def check_argument_for_proper_class(self, name: str, argument: Any) -> Any:
        """Nothing to look up the class of a video processor for."""


def processor(lab: Any) -> Any:
    """That of the checkpoint."""
    made: Any = Processor
    return made(
        lab.images,
        lab.tokenizer,
        None,
        num_image_tokens=(EDGE // PATCH) ** 2,
        vision_feature_select_strategy="full",
        chat_template=lab.tokenizer.chat_template,
        vision_aspect_ratio="anyres_max_4",
    )


def stock_inputs(lab: Any, request: Request) -> dict[str, Tensor]:
    """What the stock forward takes for a request: made by the family's processor."""
    inputs: dict[str, Tensor] = lab.processed(processor(lab), request)
    return inputs
