"""Qwen2-VL, tiny."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

from runners.base import Request
from runners.builtin.architecture import build_image_processor
from runners.builtin.tokenizer import build_tokenizer

NOISE = {"*bias": 0.3}


def qwen2_vl() -> tuple[Any, Any, Any]:
    """Model, tokenizer and image processor."""
    tokenizer = build_tokenizer()
    tokens = tokenizer.get_vocab()
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 5,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "initializer_range": 0.1,
            "max_position_embeddings": 4096,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1000.0, "mrope_section": [2, 3, 3]},
            "bos_token_id": None,
            "eos_token_id": tokens["<|im_end|>"],
            "pad_token_id": tokens["<|endoftext|>"],
        },
        vision_config={
            "depth": 2,
            "embed_dim": 32,
            "hidden_size": 64,
            "mlp_ratio": 2,
            "num_heads": 2,
            "patch_size": 8,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "initializer_range": 0.1,
        },
        image_token_id=tokens["<|image_pad|>"],
        video_token_id=tokens["<|video_pad|>"],
        vision_start_token_id=tokens["<|vision_start|>"],
        vision_end_token_id=tokens["<|vision_end|>"],
        tie_word_embeddings=False,
    )
    return Qwen2VLForConditionalGeneration(config), tokenizer, build_image_processor()


def stock_inputs(lab: Any, request: Request) -> dict[str, Tensor]:
    """What the stock forward takes for a request."""
    inputs: dict[str, Tensor] = lab.qwen_inputs(request)
    return inputs
