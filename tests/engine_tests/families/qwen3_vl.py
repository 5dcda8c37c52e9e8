"""Qwen3-VL, dense and with experts, tiny."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import (
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLMoeConfig,
    Qwen3VLMoeForConditionalGeneration,
)

from runners.base import Request
from runners.builtin.architecture import build_image_processor
from runners.builtin.tokenizer import build_tokenizer

NOISE = {"*bias": 0.3}
TEXT = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 5,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.1,
    "max_position_embeddings": 4096,
    "head_dim": 16,
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 1000.0,
        "mrope_section": [4, 2, 2],
        "mrope_interleaved": True,
    },
    "bos_token_id": None,
}
EXPERTS = {"moe_intermediate_size": 32, "num_experts": 4, "num_experts_per_tok": 2}
VISION = {
    "depth": 4,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_heads": 2,
    "patch_size": 8,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "out_hidden_size": 64,
    "num_position_embeddings": 64,
    "deepstack_visual_indexes": [1, 2, 3],
    "initializer_range": 0.1,
}


def qwen3_vl() -> tuple[Any, Any, Any]:
    """Model, tokenizer and image processor."""
    return _parts(Qwen3VLConfig, Qwen3VLForConditionalGeneration, TEXT)


def qwen3_vl_moe() -> tuple[Any, Any, Any]:
    """The same with experts."""
    return _parts(Qwen3VLMoeConfig, Qwen3VLMoeForConditionalGeneration, TEXT | EXPERTS)


def _parts(config_of: Any, model_of: Any, text: dict[str, Any]) -> tuple[Any, Any, Any]:
    tokenizer = build_tokenizer()
    tokens = tokenizer.get_vocab()
    ends = {"eos_token_id": tokens["<|im_end|>"], "pad_token_id": tokens["<|endoftext|>"]}
    config = config_of(
        text_config={"vocab_size": len(tokenizer), **text, **ends},
        vision_config=VISION,
        image_token_id=tokens["<|image_pad|>"],
        video_token_id=tokens["<|video_pad|>"],
        vision_start_token_id=tokens["<|vision_start|>"],
        vision_end_token_id=tokens["<|vision_end|>"],
        tie_word_embeddings=False,
    )
    model = model_of(config)
    model.generation_config.update(**ends)
    return model, tokenizer, build_image_processor()


def stock_inputs(lab: Any, request: Request) -> dict[str, Tensor]:
    """What the stock forward takes for a request."""
    inputs: dict[str, Tensor] = lab.qwen_inputs(request)
    return inputs
