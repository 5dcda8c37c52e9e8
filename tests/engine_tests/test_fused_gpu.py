"""On a CUDA device models are fused: in bfloat16 they stay near the stock modules in float32, in no more memory."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from runners.engine.adapters.registry import ADAPTERS, build_adapter
from runners.engine.engine import Engine
from runners.methods.full_recompute import FullRecompute
from runners.models.checkpoint import load_files
from runners.models.load import load_model
from runners.models.shapes.assembly import assemble
from runners.models.shapes.catalogue import find_shape

DEVICE = "cuda"
LAYER, LOGITS = 0.02, 0.05  # tolerances, as a share of the largest number


def assert_near(found: Tensor, expected: Tensor, tolerance: float) -> None:
    """Equal but for a share of the largest number."""
    atol = tolerance * float(expected.abs().max())
    torch.testing.assert_close(found.float().cpu(), expected, atol=atol, rtol=0)


@pytest.mark.gpu
@pytest.mark.parametrize("family", ADAPTERS)
def test_a_fused_model_in_bfloat16_is_near_the_stock_one_in_float32(lab_of: Callable[[str], Any], family: str) -> None:
    lab = copy.copy(lab_of(family))
    model = load_model("tiny", lab.path, "bfloat16", DEVICE)
    assert model.adapter.fused == (("qkv",) if family == "qwen3_vl_moe" else ("qkv", "gate_up"))
    parts = load_files("tiny", lab.path, torch.bfloat16, "cpu", "single")
    lab.stock = parts[0].float()  # the same weights: they are rounded, too
    stock = build_adapter(*parts)
    shape = model.adapter.shape
    for tokens in (1, 33, 400):
        hidden = torch.randn(tokens, shape.hidden).bfloat16()
        attended = torch.randn(tokens, shape.heads * shape.head_dim).bfloat16()
        for plain, layer in zip(stock.layers, model.adapter.layers, strict=True):
            with torch.inference_mode():
                expected = plain.project_qkv(hidden.float())
                found = layer.project_qkv(hidden.to(DEVICE))
                for one, other in zip(found, expected, strict=True):
                    assert_near(one, other, LAYER)
                if "gate_up" in model.adapter.fused:  # rounding may choose other experts
                    finished = layer.finish(hidden.to(DEVICE), attended.to(DEVICE))
                    assert_near(finished, plain.finish(hidden.float(), attended.float()), LAYER)
    if "gate_up" in model.adapter.fused:
        request = lab.ask("One ", lab.picture(0), " and ", lab.picture(1), "?")
        response = Engine(model.adapter, model.workspace, FullRecompute(), 1 << 28).answer(request)
        assert response.first_logits is not None, response.error
        assert_near(torch.from_numpy(response.first_logits), torch.from_numpy(lab.stock_logits(request)), LOGITS)


@pytest.mark.gpu
def test_fusing_takes_the_memory_of_a_layer_and_gives_it_back() -> None:
    parts = assemble("shape", find_shape("internvl3-1b"), torch.bfloat16, DEVICE, "single")
    adapter = build_adapter(*parts)
    layer = sum(weight.nbytes for weight in parts[0].model.language_model.layers[0].parameters())
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    held, reserved = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
    adapter.fuse()
    assert adapter.fused == ("qkv", "gate_up")
    assert torch.cuda.memory_allocated() <= held + layer // 10
    assert torch.cuda.max_memory_allocated() <= held + layer
    assert torch.cuda.memory_reserved() <= reserved + adapter.weight_bytes // 10
