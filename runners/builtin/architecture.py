"""The embedded model's shape: Qwen2.5-VL, small."""

from __future__ import annotations

from transformers import (
    PreTrainedTokenizerBase,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from workloads.drawing import CELL

PATCH = CELL // 2
MERGE = 2
MOST_VISION_TOKENS = 1280
CONTEXT = 4096


def build_config(tokenizer: PreTrainedTokenizerBase, layers: int = 8) -> Qwen2_5_VLConfig:
    """The configuration, with ``layers`` decoder layers of width 128."""

    def token(name: str) -> int:
        return int(tokenizer.convert_tokens_to_ids(name))

    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 128,
            "intermediate_size": 320,
            "num_hidden_layers": layers,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": CONTEXT,
            "rms_norm_eps": 1e-6,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1000.0, "mrope_section": [4, 6, 6]},
            "bos_token_id": None,
            "eos_token_id": token("<|im_end|>"),
            "pad_token_id": token("<|endoftext|>"),
        },
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_heads": 2,
            "rope_parameters": {"rope_type": "axial", "rope_theta": 50.0},
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
            "tokens_per_second": 2,
            "window_size": 8 * CELL,
            "out_hidden_size": 128,
            "fullatt_block_indexes": [0, 1],
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )


def build_model(config: Qwen2_5_VLConfig) -> Qwen2_5_VLForConditionalGeneration:
    """The model with fresh weights (seed torch before)."""
    return Qwen2_5_VLForConditionalGeneration(config)


def build_image_processor() -> Qwen2VLImageProcessorPil:
    """The Pillow image processor: one token per cell, pictures up to ``MOST_VISION_TOKENS`` tokens unscaled."""
    return Qwen2VLImageProcessorPil(
        patch_size=PATCH,
        merge_size=MERGE,
        temporal_patch_size=2,
        size={"shortest_edge": CELL * CELL, "longest_edge": MOST_VISION_TOKENS * CELL * CELL},
    )
