"""Adapters by the model type in a Hugging Face config; imported on look-up."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

from runners.engine.adapters.base import Adapter
from runners.engine.errors import UnsupportedModel
from runners.engine.media.sampling import DEFAULT_SAMPLING, FrameSampling
from workloads.errors import quoted

ADAPTERS = {
    "internvl": "runners.engine.adapters.internvl:InternVL",
    "llava": "runners.engine.adapters.llava:Llava",
    "llava_onevision": "runners.engine.adapters.llava_onevision:LlavaOneVision",
    "qwen2_vl": "runners.engine.adapters.qwen2_vl:Qwen2VL",
    "qwen2_5_vl": "runners.engine.adapters.qwen2_5_vl:Qwen25VL",
    "qwen3_vl": "runners.engine.adapters.qwen3_vl:Qwen3VL",
    "qwen3_vl_moe": "runners.engine.adapters.qwen3_vl:Qwen3VL",
}

REFUSED = {
    "gemma3": "the tokens of an image see those after them, and most layers see only a window of the prompt",
    "mllama": "its images are not in the prompt: layers of their own read them by cross-attention",
    "paligemma": "its images see the question after them, so that nothing of them stays the same for another question",
}
"""Families whose images have no keys and values that can be reused exactly, each with the reason."""

IMAGE_PROCESSORS = {
    "internvl": ("GotOcr2",),
    "llava": ("CLIP", "Siglip", "Llava"),
    "llava_onevision": ("LlavaOnevision",),
    "qwen2_vl": ("Qwen2VL",),
    "qwen2_5_vl": ("Qwen2VL",),
    "qwen3_vl": ("Qwen2VL",),
    "qwen3_vl_moe": ("Qwen2VL",),
}
"""What the names of each family's image processors begin with, in transformers."""


def require_supported(family: str | None) -> None:
    """UnsupportedModel when there is no adapter for a model type."""
    if family in REFUSED:
        raise UnsupportedModel(f"architecture '{family}' cannot be reused exactly: {REFUSED[family]}")
    if family not in ADAPTERS:
        raise UnsupportedModel(f"architecture '{family}' is not supported; supported: {', '.join(sorted(ADAPTERS))}")


def require_image_processor(family: str, name: str) -> None:
    """UnsupportedModel for an image processor, by the name of its class, that is not one of the family's."""
    known = name.removesuffix("Fast").removesuffix("Pil").replace("FeatureExtractor", "ImageProcessor")
    own = [f"{start}ImageProcessor" for start in IMAGE_PROCESSORS[family]]
    if known not in own:
        raise UnsupportedModel(
            f"its image processor {quoted(name)} is not that of '{family}', which is {' or '.join(own)}; "
            "take the preprocessor_config.json of the model itself"
        )


def build_adapter(
    model: Any, tokenizer: Any, image_processor: Any, sampling: FrameSampling = DEFAULT_SAMPLING
) -> Adapter:
    """Make the adapter for a loaded model; UnsupportedModel when there is none or reuse cannot be exact."""
    family = model.config.model_type
    require_supported(family)
    module, attribute = ADAPTERS[family].split(":")
    adapter = cast(Adapter, getattr(import_module(module), attribute)(model, tokenizer, image_processor))
    adapter.sampling = sampling
    return adapter
