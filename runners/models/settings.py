"""Check the settings of a model before anything is made of them: types, and sizes within bounds.

transformers takes most values as they come, and fails far from their file, or allocates what they ask for. A name below
is checked wherever it stands, for published files have the sizes of a part beside, or within, those of the whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from workloads.errors import UsageError
from workloads.reading import brief, brief_name

Bounds = tuple[int, int]

WIDTH, COUNT, LAYERS, EDGE, TOKEN = (1, 1 << 20), (1, 1 << 16), (1, 256), (1, 8192), (0, 1 << 24)

MODEL_SIZES: dict[str, Bounds] = {
    **dict.fromkeys(("hidden_size", "intermediate_size", "embed_dim", "out_hidden_size", "projection_dim"), WIDTH),
    **dict.fromkeys(("moe_intermediate_size", "head_dim", "window_size"), WIDTH),
    **dict.fromkeys(("num_attention_heads", "num_key_value_heads", "num_heads", "num_experts"), COUNT),
    **dict.fromkeys(("num_experts_per_tok", "num_position_embeddings", "tokens_per_second"), COUNT),
    **dict.fromkeys(("num_hidden_layers", "depth", "spatial_merge_size", "temporal_patch_size", "mlp_ratio"), LAYERS),
    **dict.fromkeys(("in_channels", "in_chans", "num_channels"), LAYERS),
    **dict.fromkeys(("patch_size", "image_size"), EDGE),
    "vocab_size": (1, 1 << 24),
    "num_labels": (0, 1 << 15),  # transformers names each
    "max_position_embeddings": (1, 1 << 28),
    **dict.fromkeys(("image_token_id", "image_token_index", "video_token_id", "video_token_index"), TOKEN),
}
"""Sizes of models in ``config.json``, each a whole number, or a list of one for each axis."""

IMAGE_SIZES: dict[str, Bounds] = {
    **dict.fromkeys(("patch_size", "merge_size", "temporal_patch_size", "height", "width"), EDGE),
    **dict.fromkeys(("min_pixels", "shortest_edge"), (1, 1 << 24)),  # a picture with fewer is scaled up to them
    **dict.fromkeys(("max_pixels", "longest_edge"), (1, 1 << 30)),
    **dict.fromkeys(("min_patches", "max_patches"), LAYERS),
}
"""Sizes of image processors."""

TEXTS = frozenset(
    (
        *("model_type", "image_processor_type", "feature_extractor_type", "tokenizer_class", "processor_class"),
        *("hidden_act", "dtype", "torch_dtype"),
    )
)
"""Names in all settings whose value is a text."""

MAPPINGS = frozenset(
    (
        *("text_config", "vision_config", "rope_parameters", "image_processor"),
        *("id2label", "label2id", "quantization_config"),
    )
)
"""Names in all settings whose value is a mapping."""

DTYPES = ("dtype", "torch_dtype")
DTYPE = re.compile(r"(?:torch\.)?(?:auto|half|float|double|b?float\d{1,2}(?:_\w{1,20})?|u?int\d{1,2})")
BITSANDBYTES = "bitsandbytes"  # of which transformers has two kinds


def check_config(value: Mapping[str, Any]) -> None:
    """Check what ``config.json`` says; UsageError that begins with its name and the field."""
    _check(value, MODEL_SIZES, "config.json", 0)
    _check_quantisation(value.get("quantization_config") or {})


def _check_quantisation(value: Mapping[str, Any]) -> None:
    """Check the method by which weights are quantised: transformers would load those of an unknown one as they are."""
    method = value.get("quant_method")
    if method is None:
        return
    from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING

    if method not in [BITSANDBYTES, *AUTO_QUANTIZATION_CONFIG_MAPPING]:
        raise UsageError(f"config.json: quantization_config.quant_method {brief(method)} is not known to transformers")


def check_image_settings(value: Mapping[str, Any], name: str) -> None:
    """Check the settings of an image processor, in the file ``name``; UsageError that begins with it and the field."""
    _check(value, IMAGE_SIZES, name, 0)


def check_generation(value: Mapping[str, Any], name: str) -> None:
    """Check the tokens at which answers end, in the file ``name``; UsageError that begins with it."""
    ends = value.get("eos_token_id")
    for end in ends if isinstance(ends, list) else [ends]:
        if end is not None and (not _is_whole(end) or not TOKEN[0] <= end <= TOKEN[1]):
            raise UsageError(f"{name}: eos_token_id must be the number of a token, or a list of such, not {brief(end)}")


def _check(value: Mapping[str, Any], sizes: Mapping[str, Bounds], place: str, depth: int) -> None:
    for key, item in value.items():
        where = f"{place}{'.' if depth else ': '}{brief_name(key)}"
        if item is None:
            continue
        if key in TEXTS and not isinstance(item, str):
            raise UsageError(f"{where} must be a text, not {brief(item)}")
        if key in DTYPES and not DTYPE.fullmatch(item):
            raise UsageError(f"{where} must be a kind of number such as float32, not {brief(item)}")
        if key in MAPPINGS and not isinstance(item, dict):
            raise UsageError(f"{where} must map names to values, not {brief(item)}")
        if isinstance(item, dict):
            _check(item, sizes, where, depth + 1)
        elif key in sizes:
            _check_size(item, sizes[key], where)


def _check_size(value: Any, bounds: Bounds, where: str) -> None:
    """A whole number within bounds, or a list of such for several axes."""
    low, high = bounds
    for number in value if isinstance(value, list) and value else [value]:
        if not _is_whole(number) or not low <= number <= high:
            raise UsageError(f"{where} must be a whole number from {low} to {high}, not {brief(number)}")


def _is_whole(value: Any) -> bool:
    """Whether a JSON value is a whole number; some files have sizes as floats."""
    return not isinstance(value, bool) and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))
