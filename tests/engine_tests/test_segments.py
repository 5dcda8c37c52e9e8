"""Encoder attention by segments: the numbers of the stock encoder, in as many calls as there are runs of a length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from runners.engine.adapters import segments

FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe")
HEADS, WIDTH = 2, 8


class Calls(TorchFunctionMode):
    """Counts calls of torch's attention."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is scaled_dot_product_attention
        return func(*args, **(kwargs or {}))


def one_by_one(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
    """The reference: a call for each segment, as the stock encoders make them."""
    parts = zip(*(x.split(list(lengths), dim=2) for x in (q, k, v)), strict=True)
    attended = [scaled_dot_product_attention(q, k, v, scale=0.3).transpose(1, 2) for q, k, v in parts]
    return torch.cat(attended, dim=1)


@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=9), seed=st.integers(0, 99))
def test_segments_of_any_lengths_attend_as_one_by_one(lengths: list[int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    q, k, v = torch.randn(3, sum(lengths), HEADS, WIDTH, generator=generator).transpose(1, 2)[:, None]
    ends = torch.tensor([0, *lengths]).cumsum(0, dtype=torch.int32)
    with Calls() as calls:
        found, weights = segments.attend_segments(None, q, k, v, None, scaling=0.3, cu_seq_lens_q=ends, is_causal=False)
    assert weights is None
    assert calls.count == len(list(groupby(lengths)))
    torch.testing.assert_close(found, one_by_one(q, k, v, lengths), atol=1e-6, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_encoder_gives_the_numbers_of_the_stock_one(lab_of: Callable[[str], Any], family: str) -> None:
    lab = lab_of(family)
    media = [lab.picture(0, rows=9, cols=11), lab.picture(1, rows=3), lab.picture(2, rows=9, cols=11), lab.clip(3)]
    pixels = [lab.adapter.preprocess(item) for item in media]
    values = torch.cat([item.values for item in pixels]).to(lab.adapter.dtype)
    grids = torch.tensor([[item.grid.time, item.grid.height, item.grid.width] for item in pixels])
    visual = lab.stock.model.visual
    with torch.inference_mode():
        with Calls() as stock_calls:
            stock = visual(values, grid_thw=grids)
        with Calls() as calls, segments.attention_by_segments(visual):
            ours = visual(values, grid_thw=grids)
    assert 0 < calls.count < stock_calls.count
    torch.testing.assert_close(ours.pooler_output, stock.pooler_output, atol=1e-5, rtol=0)
    for mine, theirs in zip(*(getattr(out, "deepstack_features", None) or () for out in (ours, stock)), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("told", ["sdpa", "eager"])
def test_the_stock_encoder_is_left_as_it_was(lab_of: Callable[[str], Any], told: str) -> None:
    lab = lab_of("qwen2_5_vl")
    visual, pixels = lab.adapter._visual, lab.adapter.preprocess(lab.picture(0))
    visual.set_attn_implementation(told)
    try:
        with torch.inference_mode(), Calls() as calls:
            lab.adapter.encode([pixels])
        assert visual.config._attn_implementation == told
        assert (calls.count > 0) == (told == "sdpa"), "another way than torch's is kept"
        with pytest.raises(KeyError), segments.attention_by_segments(visual):
            raise KeyError
        assert visual.config._attn_implementation == told
    finally:
        visual.set_attn_implementation("sdpa")
