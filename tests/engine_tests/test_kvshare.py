"""KVShare chooses by attention mass times deviation of V, layer by layer, and spends what its schedule says."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from runners.base import Request
from runners.methods.kvshare import KVShare, counts_falling_from_all, falling_from_all


def moved(lab: Any) -> list[Request]:
    """Two pictures of 24 and 30 tokens come one by one, then together, moved."""
    a, b = lab.picture(0, rows=4, cols=6), lab.picture(1, rows=6)
    return [lab.ask("x ", a), lab.ask("y ", b), lab.ask("moved ", b, " to ", a, "?")]


@given(ratio=st.floats(0, 1), layers=st.integers(1, 60))
def test_the_ports_line_falls_from_all_and_has_the_claimed_mean(ratio: float, layers: int) -> None:
    ratios = falling_from_all(ratio, layers)
    assert len(ratios) == layers
    assert ratios[0] == 1
    assert all(0 <= below <= above for above, below in pairwise(ratios))
    assert sum(ratios) / layers == pytest.approx(max(ratio, 1 / layers))
    steps = [above - below for above, below in pairwise(ratios) if below > 0]
    assert steps == pytest.approx([steps[0]] * len(steps) if steps else []), "a straight line"


@given(tokens=st.integers(1, 400), share=st.floats(0, 1), layers=st.integers(1, 40))
def test_the_ports_counts_are_whole_fall_from_all_and_have_the_claimed_mean(
    tokens: int, share: float, layers: int
) -> None:
    mean = round(share * tokens)
    counts = counts_falling_from_all(tokens, mean, layers)
    line = [tokens * ratio for ratio in falling_from_all(mean / tokens, layers)]
    assert counts[0] == tokens
    assert sum(counts) == max(tokens, mean * layers)
    assert all(0 <= below <= above for above, below in pairwise(counts))
    assert all(abs(count - exact) < 1 + 1e-6 for count, exact in zip(counts, line, strict=True))


@pytest.mark.parametrize("schedule", ["later", "all"])
@pytest.mark.parametrize("ratio", [0.0, 0.05, 0.25, 0.6, 0.95, 1.0])
def test_sets_shrink_and_spend_what_the_schedule_claims(lab: Any, observe: Any, schedule: str, ratio: float) -> None:
    method = KVShare(ratio=ratio, schedule=schedule)  # type: ignore[arg-type]
    seen = observe(method)
    response = lab.answer(method, *moved(lab))
    context, _, computed = seen.last
    sets = [set(tokens.tolist()) & set(context.candidates().tolist()) for _, tokens in sorted(computed.items())]
    counts = [len(tokens) for tokens in sets]
    if schedule == "later":
        assert counts[:2] == [54, 54]
        spent = counts[2:]
        assert ratio * 54 - 1 < sum(spent) / len(spent) <= ratio * 54 + 1e-6
    else:
        assert sum(counts) == max(54, math.ceil(ratio * 54) * context.layers), "the mean is rounded up"
    assert counts[0] == 54
    assert all(below <= above for above, below in pairwise(sets))
    assert response.cache.computed_token_layers == sum(counts)


def test_the_first_choice_is_by_the_true_attention_and_deviation_of_the_second_layer(lab: Any, observe: Any) -> None:
    method = KVShare(ratio=0.4)
    seen = observe(method)
    *_, target = moved(lab)
    lab.answer(method, *moved(lab))
    context, _, computed = seen.last
    candidates = context.candidates()
    stored = torch.cat([part.donor.v[1].transpose(0, 1).flatten(1) for part in context.reusable])
    deviation = (lab.stock_values(target)[1][candidates] - stored).abs().sum(dim=-1)
    mass = lab.stock_attention(target)[1].sum(dim=(0, 1))[candidates]
    kept = computed[2][torch.isin(computed[2], candidates)]
    assert 20 < len(kept) < 54
    assert kept.tolist() == sorted(candidates[(mass * deviation).topk(len(kept)).indices].tolist())
    assert set(kept.tolist()) != set(candidates[deviation.topk(len(kept)).indices].tolist()), "attention matters"


def test_the_queries_it_needs_are_charged(lab: Any, observe: Any) -> None:
    method = KVShare(ratio=0.3)
    seen = observe(method)
    lab.answer(method, *moved(lab))
    context, _, computed = seen.last
    shape = lab.adapter.shape
    width = shape.heads * shape.head_dim
    expected = 0.0
    for layer in range(1, context.layers - 1):
        tokens = computed[layer]
        assert len(tokens) > len(computed[layer + 1]), "some are dropped in every layer"
        expected += len(tokens) * 2 * shape.hidden * width  # queries
        expected += 2 * width * float((tokens + 1).sum())  # probabilities
    assert context.selection_flops == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("schedule", ["later", "all"])
def test_nothing_is_charged_where_nothing_is_dropped(lab: Any, observe: Any, schedule: str) -> None:
    method = KVShare(ratio=1.0, schedule=schedule)  # type: ignore[arg-type]
    seen = observe(method)
    lab.answer(method, *moved(lab))
    assert [context.selection_flops for context in seen.contexts] == [0, 0, 0]


def test_the_ports_schedule_at_ratio_zero_repairs_nothing(lab: Any) -> None:
    only_first_layer = lab.answer(KVShare(ratio=0.0, schedule="all"), *moved(lab))
    assert only_first_layer.cache.computed_token_layers == 54
    lab.assert_equal(only_first_layer, lab.answer(lab.method("full-reuse", donor="template"), *moved(lab)))
