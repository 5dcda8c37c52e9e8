"""InternVL3, tiny."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import InternVLConfig, InternVLForConditionalGeneration, InternVLProcessor, PreTrainedTokenizerFast
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

from runners.base import Request
from runners.builtin.tokenizer import build_tokenizer

NOISE = {"*language_model*bias": 0.3, "*cls_token": 0.1, "*position_embeddings": 0.1}
EDGE, PATCH = 32, 8
NAMED = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
}

# as published with OpenGVLab/InternVL3-1B-hf
TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n'}}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for content in message['content'] %}"
    "{% if content['type'] == 'image' %}{{ '<IMG_CONTEXT>\n' }}"
    "{% elif content['type'] == 'video' %}{{ '<video>\n' }}"
    "{% elif content['type'] == 'text' %}{{ content['text'] }}{% endif %}"
    "{% endfor %}{% endif %}{{'<|im_end|>\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{'<|im_start|>assistant\n' }}{% endif %}"
)


def internvl() -> tuple[Any, Any, Any]:
    """Model, tokenizer and image processor."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=build_tokenizer().backend_tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        model_specific_special_tokens=NAMED,
    )
    tokenizer.chat_template = TEMPLATE
    tokens = tokenizer.get_vocab()
    config = InternVLConfig(
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
            "rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1000.0},
            "bos_token_id": None,
            "eos_token_id": tokens["<|im_end|>"],
            "pad_token_id": tokens["<|endoftext|>"],
        },
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": [EDGE, EDGE],
            "patch_size": [PATCH, PATCH],
            "attention_bias": True,
            "initializer_range": 0.1,
        },
        image_token_id=tokens["<IMG_CONTEXT>"],
        tie_word_embeddings=False,
    )
    size = {"height": EDGE, "width": EDGE}
    return InternVLForConditionalGeneration(config), tokenizer, GotOcr2ImageProcessorPil(size=size, max_patches=4)


class Processor(InternVLProcessor):
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
        image_seq_length=(EDGE // PATCH // 2) ** 2,
        chat_template=lab.tokenizer.chat_template,
    )


def stock_inputs(lab: Any, request: Request) -> dict[str, Tensor]:
    """What the stock forward takes for a request: made by the family's processor."""
    inputs: dict[str, Tensor] = lab.processed(processor(lab), request)
    return inputs
