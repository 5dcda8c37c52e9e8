"""Eight bits a number, and no more error than is said."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from runners.engine.kv.quantise import LEVELS, Quantised, quantise_channels, restore_channels


@given(seed=st.integers(0, 1000), scale=st.sampled_from([1e-6, 1.0, 1e4]))
def test_the_error_is_half_a_step_of_the_rows_largest_number(seed: int, scale: float) -> None:
    x = scale * torch.randn(2, 3, 5, 8, generator=torch.Generator().manual_seed(seed))
    error = (Quantised.of(x).restore() - x).abs()
    assert bool((error <= x.abs().amax(-1, keepdim=True) / LEVELS * 0.501).all())


def test_some_rows_can_be_restored_alone() -> None:
    x = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Quantised.of(x).restore(torch.tensor([4, 3])), Quantised.of(x).restore()[:, [4, 3]])


def test_zeros_stay_zeros_and_bytes_are_counted() -> None:
    kept = Quantised.of(torch.zeros(2, 5, 8))
    assert not kept.restore().any()
    assert kept.nbytes == 2 * 5 * (8 + 4)


def test_a_channel_that_is_large_costs_the_others_nothing() -> None:
    x = torch.randn(2, 3, 40, 8, generator=torch.Generator().manual_seed(0))
    x[..., 5] *= 1000
    back = restore_channels(quantise_channels(x))
    assert back.shape == x.shape
    assert back.is_contiguous()
    step = x.abs().amax(dim=2, keepdim=True) / 127
    assert bool(((back - x).abs() <= 0.51 * step).all())
