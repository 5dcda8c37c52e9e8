"""The embedded model's shape: Qwen2.5-VL, small."""

from __future__ import annotations

import torch
from transformers import (
    PreTrainedTokenizerBase,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from workloads.synthetic.drawing import CELL

PATCH = CELL // 2
MERGE = 2
TOKENS_PER_SECOND = 2  # steps of the temporal position
MOST_VISION_TOKENS = 1280
CONTEXT = 4096
ROTARY_BASE = 10_000.0  # of the vision encoder; servers compute with it, whatever a configuration says
EMBEDDING_STD = 0.25
INITIAL_STD = 0.1  # the usual 0.02 leaves attention flat at these widths, and neighbours are never learned


def build_config(
    tokenizer: PreTrainedTokenizerBase, layers: int = 8, rotary_base: float = ROTARY_BASE
) -> Qwen2_5_VLConfig:
    """The configuration, with ``layers`` decoder layers of width 128 and a vision encoder of ``rotary_base``."""
    tokens = tokenizer.get_vocab()
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 128,
            "intermediate_size": 320,
            "num_hidden_layers": layers,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "initializer_range": INITIAL_STD,
            "max_position_embeddings": CONTEXT,
            "rms_norm_eps": 1e-6,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1000.0, "mrope_section": [4, 6, 6]},
            "bos_token_id": None,
            "eos_token_id": tokens["<|im_end|>"],
            "pad_token_id": tokens["<|endoftext|>"],
        },
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "intermediate_size": 128,
            "initializer_range": INITIAL_STD,
            "num_heads": 2,
            "rope_parameters": {"rope_type": "axial", "rope_theta": rotary_base},
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
            "tokens_per_second": TOKENS_PER_SECOND,
            "window_size": 8 * CELL,
            "out_hidden_size": 128,
            "fullatt_block_indexes": [0, 1],
        },
        image_token_id=tokens["<|image_pad|>"],
        video_token_id=tokens["<|video_pad|>"],
        vision_start_token_id=tokens["<|vision_start|>"],
        vision_end_token_id=tokens["<|vision_end|>"],
        tie_word_embeddings=True,
    )


def build_model(config: Qwen2_5_VLConfig) -> Qwen2_5_VLForConditionalGeneration:
    """The model with fresh weights (seed torch before).

    What the layers add to the residual stream starts small beside the embeddings, so that a token's identity
    survives eight layers (the scaling of GPT-2, with a larger embedding).
    """
    model = Qwen2_5_VLForConditionalGeneration(config)
    text = model.model.language_model
    with torch.no_grad():
        text.embed_tokens.weight.mul_(EMBEDDING_STD / INITIAL_STD)
        for layer in text.layers:
            for projection in (layer.self_attn.o_proj, layer.mlp.down_proj):
                projection.weight.div_((2 * len(text.layers)) ** 0.5)
    return model


def build_image_processor() -> Qwen2VLImageProcessorPil:
    """The Pillow image processor: one token per cell, pictures up to ``MOST_VISION_TOKENS`` tokens unscaled."""
    return Qwen2VLImageProcessorPil(
        patch_size=PATCH,
        merge_size=MERGE,
        temporal_patch_size=2,
        size={"shortest_edge": CELL * CELL, "longest_edge": MOST_VISION_TOKENS * CELL * CELL},
    )
