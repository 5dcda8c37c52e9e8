"""A tiny random Qwen3-VL checkpoint in the real format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

from runners.base import Request
from runners.builtin.architecture import build_image_processor
from runners.builtin.tokenizer import build_tokenizer


def build(path: Path) -> None:
    """Write it, scaled so that attention is far from flat."""
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    tokens = tokenizer.get_vocab()
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
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
        },
        vision_config={
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
        },
        image_token_id=tokens["<|image_pad|>"],
        video_token_id=tokens["<|video_pad|>"],
        vision_start_token_id=tokens["<|vision_start|>"],
        vision_end_token_id=tokens["<|vision_end|>"],
        tie_word_embeddings=False,
    )
    model = Qwen3VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = tokens["<|im_end|>"]
    model.generation_config.pad_token_id = tokens["<|endoftext|>"]
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("q_proj.weight", "k_proj.weight", "o_proj.weight", "down_proj.weight")):
                weight.mul_(2.0)
            elif name.endswith("bias"):
                weight.normal_(std=0.3)
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    build_image_processor().save_pretrained(path)


def stock_inputs(lab: Any, request: Request) -> dict[str, Tensor]:
    """What the stock forward takes for a request."""
    inputs: dict[str, Tensor] = lab.qwen_inputs(request)
    return inputs
