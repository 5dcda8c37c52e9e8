"""Adapters by the model type in a Hugging Face config; imported on look-up."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

from runners.engine.adapters.base import Adapter
from runners.engine.errors import UnsupportedModel

ADAPTERS = {
    "qwen2_vl": "runners.engine.adapters.qwen2_vl:Qwen2VL",
    "qwen2_5_vl": "runners.engine.adapters.qwen2_5_vl:Qwen25VL",
    "qwen3_vl": "runners.engine.adapters.qwen3_vl:Qwen3VL",
    "qwen3_vl_moe": "runners.engine.adapters.qwen3_vl:Qwen3VL",
}


def require_supported(family: str | None) -> None:
    """UnsupportedModel when there is no adapter for a model type."""
    if family not in ADAPTERS:
        raise UnsupportedModel(f"architecture '{family}' is not supported; supported: {', '.join(sorted(ADAPTERS))}")


def build_adapter(model: Any, tokenizer: Any, image_processor: Any) -> Adapter:
    """The adapter for a loaded model; UnsupportedModel when there is none or it cannot be exact."""
    family = model.config.model_type
    require_supported(family)
    module, attribute = ADAPTERS[family].split(":")
    return cast(Adapter, getattr(import_module(module), attribute)(model, tokenizer, image_processor))
