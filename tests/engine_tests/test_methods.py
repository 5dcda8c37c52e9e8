"""Each method follows its rule: checked against computations that share no code with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from runners.base import Request
from runners.engine.method import PlanContext


def requests(lab: Any) -> list[Request]:
    """Two pictures and a clip come one by one, and then together, moved."""
    a, b, clip = lab.picture(0), lab.picture(1, rows=6), lab.clip(0)
    return [
        lab.ask("x ", a),
        lab.ask(b, "y"),
        lab.ask("z", clip),
        lab.ask("now: ", b, a, " and ", clip, "?", name="all"),
    ]


def vision(computed: Tensor, context: PlanContext) -> Tensor:
    return computed[torch.isin(computed, context.candidates())]


@pytest.mark.parametrize("ratio", [0.0, 0.05, 0.3, 0.77, 1.0])
@pytest.mark.parametrize("profile", ["linear", "flat"])
def test_vlcache_paper_computes_leading_runs_that_shorten_with_depth(
    lab: Any, observe: Any, ratio: float, profile: str
) -> None:
    method = lab.method(f"vlcache-paper@profile={profile}", recompute_ratio=ratio)
    seen = observe(method)
    lab.answer(method, *requests(lab))
    context, _, computed = seen.last
    assert [part.tokens for part in context.reusable] == [30, 20, 36]
    share = 0
    for part in context.reusable:
        runs = []
        for layer in range(context.layers):
            tokens = computed[layer]
            inside = tokens[(tokens >= part.start) & (tokens < part.end)]
            assert torch.equal(inside, torch.arange(part.start, part.start + len(inside))), "a leading run"
            runs.append(len(inside))
        assert runs == sorted(runs, reverse=True)
        share += sum(runs)
        if profile == "flat":
            assert set(runs) == {int(ratio * part.tokens + 1e-9)}
    assert share <= ratio * 86 * context.layers + 1e-6
    assert share > ratio * 86 * context.layers - 3 * context.layers, "at most one token lost per medium and layer"


def random_draw(lab: Any, observe: Any, text: str, name: str) -> list[int]:
    method = lab.method(text, recompute_ratio=0.25)
    seen = observe(method)
    *before, last = requests(lab)
    lab.answer(method, *before, replace(last, id=name))
    context, plan, _ = seen.last
    drawn = context.candidates()[plan.depth[context.candidates()] > 0]
    assert len(drawn) == int(0.25 * 86)
    assert set(plan.depth[drawn].tolist()) == {context.layers}
    tokens: list[int] = drawn.tolist()
    return tokens


def test_random_k_draws_by_request_and_seed_alone(lab: Any, observe: Any) -> None:
    first = random_draw(lab, observe, "random-k", "request-1")
    torch.manual_seed(99)
    assert random_draw(lab, observe, "random-k", "request-1") == first
    assert random_draw(lab, observe, "random-k", "request-2") != first
    assert random_draw(lab, observe, "random-k@seed=1", "request-1") != first


@pytest.mark.parametrize("k", [0, 3, 25, 100])
def test_leading_k_computes_k_tokens_of_every_medium(lab: Any, observe: Any, k: int) -> None:
    method = lab.method(f"leading-k@k={k}")
    seen = observe(method)
    lab.answer(method, *requests(lab))
    context, plan, _ = seen.last
    expected = [part.start + i for part in context.reusable for i in range(min(k, part.tokens))]
    assert context.candidates()[plan.depth[context.candidates()] > 0].tolist() == expected


def stock_hidden(lab: Any, request: Request, layer: int) -> Tensor:
    """Normed input of a layer in the stock forward, ``(tokens, hidden)``."""
    with torch.no_grad():
        out = lab.stock(**lab.stock_inputs(request), output_hidden_states=True)
        hidden: Tensor = lab.stock.model.language_model.layers[layer].input_layernorm(out.hidden_states[layer][0])
    return hidden


@pytest.mark.parametrize("score", ["v", "k"])
@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.5])
def test_cacheblend_keeps_the_tokens_that_truly_deviate_most_in_the_second_layer(
    lab: Any, observe: Any, score: str, ratio: float
) -> None:
    a, b = lab.picture(0), lab.picture(1, rows=6)
    target = lab.ask("moved ", b, a, "?")
    method = lab.method(f"cacheblend@score={score}", recompute_ratio=ratio)
    seen = observe(method)
    lab.answer(method, lab.ask("x ", a), lab.ask("y ", b), target)
    context, _, computed = seen.last

    attention = lab.stock.model.language_model.layers[1].self_attn
    with torch.no_grad():  # a rotation keeps distances: K after RoPE deviates as much as before it
        fresh = (attention.v_proj if score == "v" else attention.k_proj)(stock_hidden(lab, target, 1))
    deviation = {}
    for part in context.reusable:
        stored = (part.donor.v if score == "v" else part.donor.k)[1].transpose(0, 1).reshape(part.tokens, -1)
        for index, token in enumerate(range(part.start, part.end)):
            deviation[token] = float((fresh[token] - stored[index]).square().sum())
    expected = sorted(sorted(deviation, key=lambda token: -deviation[token])[: int(ratio * len(deviation))])

    assert len(deviation) == 50
    for layer in (0, 1):
        assert vision(computed[layer], context).tolist() == sorted(deviation)
    for layer in range(2, context.layers):
        assert vision(computed[layer], context).tolist() == expected


@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_vlcache_does_not_probe_where_there_is_nothing_to_choose(lab: Any, observe: Any, ratio: float) -> None:
    method = lab.method("vlcache", recompute_ratio=ratio)
    seen = observe(method)
    lab.answer(method, *requests(lab))
    assert seen.contexts[-1].selection_flops == 0


@given(ratio=st.integers(0, 100), reusable=st.integers(0, 5000), others=st.integers(0, 5000))
def test_a_budget_is_a_share_of_all_vision_tokens_and_not_cut_by_the_error_of_a_float(
    ratio: int, reusable: int, others: int
) -> None:
    @dataclass
    class Part:
        tokens: int

    @dataclass
    class Layout:
        vision_tokens: int = reusable + others

    parts = [Part(reusable // 2), Part(reusable - reusable // 2)]
    context: Any = type("Context", (), {"reusable": parts, "layout": Layout()})()
    assert PlanContext.budget(context, ratio / 100) == min(reusable, ratio * (reusable + others) // 100)
    assert PlanContext.budget(context, ratio / 100, up=True) == min(reusable, -(-ratio * (reusable + others) // 100))
