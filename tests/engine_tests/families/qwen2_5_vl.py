"""Qwen2.5-VL, tiny."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from runners.base import Request
from runners.builtin.architecture import build_config, build_image_processor, build_model
from runners.builtin.tokenizer import build_tokenizer

NOISE = {"*bias": 0.3}


def qwen2_5_vl() -> tuple[Any, Any, Any]:
    """Model, tokenizer and image processor."""
    tokenizer = build_tokenizer()
    return build_model(build_config(tokenizer, layers=5)), tokenizer, build_image_processor()


def stock_inputs(lab: Any, request: Request) -> dict[str, Tensor]:
    """What the stock forward takes for a request."""
    inputs: dict[str, Tensor] = lab.qwen_inputs(request)
    return inputs
