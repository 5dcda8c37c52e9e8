"""What is skipped in a token's last layer is read by nobody."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from runners.engine.kv.buffer import KVBuffer
from runners.engine.plan import Plan
from runners.engine.prefill import PrefillResult, prefill
from runners.engine.prompt.tensors import PromptTensors

TOKENS = 24


@pytest.fixture(scope="module")
def prompt(lab: Any) -> PromptTensors:
    """Random embeddings at plain positions."""
    hidden = torch.randn(TOKENS, lab.adapter.shape.hidden, generator=torch.Generator().manual_seed(1))
    positions = torch.arange(TOKENS).expand(lab.adapter.shape.rope_axes, -1)
    return PromptTensors(hidden, *lab.adapter.rotary(positions))


def _run(lab: Any, prompt: PromptTensors, depth: torch.Tensor, skips: bool) -> tuple[KVBuffer, PrefillResult]:
    """A prefill over keys and values of other content."""
    kv = KVBuffer.allocate(lab.adapter.kv_shape, TOKENS)
    generator = torch.Generator().manual_seed(2)
    kv.k.copy_(torch.randn(kv.k.shape, generator=generator))
    kv.v.copy_(torch.randn(kv.v.shape, generator=generator))
    return kv, prefill(lab.adapter, prompt, kv, Plan(depth), skips=skips)


@hypothesis_settings(deadline=None, max_examples=40)
@given(depths=st.lists(st.integers(0, 5), min_size=TOKENS, max_size=TOKENS))
def test_skipping_changes_no_key_no_value_and_no_answer(lab: Any, prompt: PromptTensors, depths: list[int]) -> None:
    depth = torch.tensor(depths).clamp(max=lab.adapter.shape.layers)
    with torch.inference_mode():
        (kv, result), (whole_kv, whole) = (_run(lab, prompt, depth, skips) for skips in (True, False))
    for skipped, computed in ((kv.k, whole_kv.k), (kv.v, whole_kv.v), (result.hidden, whole.hidden)):
        torch.testing.assert_close(skipped, computed, atol=2e-5, rtol=1e-5)
    assert torch.equal(result.depth, whole.depth)
    assert result.flops <= whole.flops
    if bool((depth[:-1] > 0).any()):
        assert result.flops < whole.flops
