"""CacheBlend's variants: gradual filtering, and its choice spread over the layers by a profile."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from runners.base import Request
from runners.engine.method import PlanContext
from runners.engine.plan import FreshLayer, Plan
from runners.methods.cacheblend import CacheBlend
from runners.profile import ModelProfile

DEVIATIONS: list[dict[int, dict[int, float]]] = []


class Watched(CacheBlend):
    """Keeps, per request and layer, how much V of every reusable token computed there deviates."""

    def plan(self, context: PlanContext) -> Plan:
        made = super().plan(context)
        candidates = set(context.candidates().tolist())
        layers: dict[int, dict[int, float]] = {}
        DEVIATIONS.append(layers)

        def refine(fresh: FreshLayer) -> Tensor | None:
            change = fresh.change_v().transpose(0, 1).flatten(1).norm(dim=-1)
            pairs = zip(fresh.tokens.tolist(), change.tolist(), strict=True)
            layers[fresh.layer] = {token: value for token, value in pairs if token in candidates}
            return made.look(fresh)

        return Plan(made.depth, refine)


def moved(lab: Any) -> list[Request]:
    """Two pictures of 24 and 30 tokens come one by one, then together, moved."""
    a, b = lab.picture(0, rows=4, cols=6), lab.picture(1, rows=6)
    return [lab.ask("x ", a), lab.ask("y ", b), lab.ask("moved ", b, " to ", a, "?")]


def deviations(lab: Any, method: CacheBlend) -> list[dict[int, float]]:
    """Per layer the deviation of every reusable token computed in it, for the last request."""
    DEVIATIONS.clear()
    lab.answer(method, *moved(lab))
    return [layer for _, layer in sorted(DEVIATIONS[-1].items())]


def largest(layer: dict[int, float], count: int) -> set[int]:
    return set(sorted(layer, key=lambda token: -layer[token])[:count])


@pytest.mark.parametrize("text", ["gradual=true", "profile=linear", "gradual=true,profile=auto", ""])
@pytest.mark.parametrize("ratio", [0.0, 0.05, 0.3, 0.7, 0.95])
def test_sets_shrink_and_the_later_layers_spend_the_ratio(lab: Any, observe: Any, text: str, ratio: float) -> None:
    method = lab.method(f"cacheblend@{text},ratio={ratio}" if text else f"cacheblend@ratio={ratio}")
    seen = observe(method)
    lab.answer(method, *moved(lab))
    context, _, computed = seen.last
    sets = [set(tokens.tolist()) & set(context.candidates().tolist()) for _, tokens in sorted(computed.items())]
    assert [len(tokens) for tokens in sets[:2]] == [54, 54]
    assert all(below <= above for above, below in pairwise(sets))
    spent = [len(tokens) for tokens in sets[2:]]
    assert ratio * 54 - 1 < sum(spent) / len(spent) <= ratio * 54 + 1e-6
    assert (spent[0] > spent[-1]) == (text != "" and ratio > 0)


def test_gradual_filtering_chooses_by_the_fresh_deviation_of_every_layer(lab: Any) -> None:
    layers = deviations(lab, Watched(ratio=0.4, gradual=True))
    for above, below in pairwise(layers[1:]):
        assert len(below) < len(above)
        assert set(below) == largest(above, len(below))
    assert set(layers[4]) != largest(layers[1], len(layers[4])), "later layers have a say"


@pytest.mark.parametrize("ratio", [0.3, 0.9])
def test_a_profile_keeps_the_order_of_the_second_layer(lab: Any, ratio: float) -> None:
    layers = deviations(lab, Watched(ratio=ratio, profile="linear"))
    assert len(layers[-1]) < len(layers[1])
    for layer in layers[2:]:
        assert set(layer) == largest(layers[1], len(layer))


def test_a_measured_profile_is_read_from_the_third_layer_on(lab: Any, observe: Any) -> None:
    method = CacheBlend(ratio=0.3, profile="auto")
    context = _context(lab, observe, method)
    context.profile = ModelProfile(layer_weights=(9.0, 9.0, 2.0, 1.0, 0.0))
    assert method._counts(context) == [54, 54, int(0.6 * 54), int(0.3 * 54), 0]


def test_two_layers_are_computed_in_full_whatever_the_ratio(lab: Any, observe: Any) -> None:
    context = _context(lab, observe, CacheBlend(ratio=0.0))

    class Shallow:
        layers, profile, budget = 2, context.profile, staticmethod(context.budget)

    assert CacheBlend(ratio=0.0, gradual=True)._counts(Shallow()) == [54, 54]  # type: ignore[arg-type]


def _context(lab: Any, observe: Any, method: CacheBlend) -> PlanContext:
    seen = observe(method)
    lab.answer(method, *moved(lab))
    context: PlanContext = seen.contexts[-1]
    assert torch.equal(context.candidates(), context.candidates().sort().values)
    return context
