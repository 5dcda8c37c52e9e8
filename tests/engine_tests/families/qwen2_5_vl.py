"""A tiny random Qwen2.5-VL checkpoint in the real format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from runners.base import Request
from runners.builtin.architecture import build_config, build_image_processor, build_model
from runners.builtin.tokenizer import build_tokenizer


def build(path: Path) -> None:
    """Write it, scaled so that attention is far from flat."""
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    model = build_model(build_config(tokenizer, layers=5))
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
