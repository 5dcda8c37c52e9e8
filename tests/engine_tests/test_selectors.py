"""Laws of every method that ranks the reusable tokens once."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from runners.base import Request
from runners.engine.method import PlanContext
from runners.methods.full_reuse import FullReuse
from runners.methods.parts.ranking import RankingMethod
from runners.registry import METHODS


def moved(lab: Any) -> list[Request]:
    """Two pictures and a clip come one by one, and then together, moved: 86 tokens."""
    a, b, clip = lab.picture(0), lab.picture(1, rows=6), lab.clip(0)
    return [lab.ask("x ", a), lab.ask(b, "y"), lab.ask("z", clip), lab.ask("now: ", b, a, " and ", clip, "?")]


def chosen(lab: Any, observe: Any, text: str, *requests: Request) -> tuple[PlanContext, Tensor]:
    """The last request's context, and the depth of its candidates."""
    method = lab.method(text)
    seen = observe(method)
    lab.answer(method, *requests)
    context, plan, _ = seen.last
    return context, plan.depth[context.candidates()]


def test_the_selectors_are_known(lab: Any) -> None:
    selectors = {name for name in METHODS if isinstance(lab.method(name), RankingMethod)}
    assert selectors >= {"random-k", "conduit", "prophetkv", "oracle"}


@pytest.mark.every_method(kind=RankingMethod)
def test_at_ratio_zero_a_selector_is_full_reuse(lab: Any, name: str) -> None:
    method = lab.method(name, recompute_ratio=0.0)
    response = lab.answer(method, *moved(lab))
    expected = lab.answer(FullReuse(donor=method.donor), *moved(lab))
    lab.assert_equal(response, expected, tolerance=0)
    assert response.cache.computed_token_layers == expected.cache.computed_token_layers == 0
    assert response.cache.flops == expected.cache.flops


@pytest.mark.every_method(kind=RankingMethod)
def test_there_is_a_score_for_every_candidate_that_other_media_in_the_store_do_not_change(
    lab: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = lab.method(name, recompute_ratio=0.2)
    made: list[Tensor] = []
    scores_of = type(method).scores

    def scores(self: RankingMethod, context: PlanContext) -> Tensor:
        made.append(scores_of(self, context))
        assert made[-1].shape == (len(context.candidates()),)
        assert made[-1].device.type == "cpu"
        return made[-1]

    monkeypatch.setattr(type(method), "scores", scores)
    lab.answer(method, *moved(lab))
    lab.answer(method, lab.ask(lab.picture(8), lab.picture(9, rows=7), "stored, and not asked for"), *moved(lab))
    assert len(made) == 2
    torch.testing.assert_close(made[0], made[1], atol=0, rtol=0)


@pytest.mark.every_method(kind=RankingMethod)
def test_a_larger_budget_computes_what_a_smaller_one_does(lab: Any, observe: Any, name: str) -> None:
    smaller: set[int] = set()
    for ratio in (0.02, 0.1, 0.5, 0.9):
        _, depth = chosen(lab, observe, f"{name}@ratio={ratio}", *moved(lab))
        computed = set(depth.nonzero()[:, 0].tolist())
        assert len(computed) == (math.ceil(ratio * 86) if lab.method(name).rounds_up else int(ratio * 86))
        assert smaller <= computed
        smaller = computed


@pytest.mark.every_method(kind=RankingMethod)
def test_a_layer_schedule_spreads_the_same_budget_over_the_same_ranking(lab: Any, observe: Any, name: str) -> None:
    context, flat = chosen(lab, observe, f"{name}@ratio=0.2,profile=flat", *moved(lab))
    _, falling = chosen(lab, observe, f"{name}@ratio=0.2,profile=linear", *moved(lab))
    assert set(flat.tolist()) == {0, context.layers}
    per_layer = [int((falling > layer).sum()) for layer in range(context.layers)]
    assert per_layer == sorted(per_layer, reverse=True)
    assert per_layer[0] > per_layer[-1]
    up = lab.method(name).rounds_up
    assert 0.2 * 86 - (not up) < sum(per_layer) / context.layers < 0.2 * 86 + (1 if up else 1e-9)
    assert set((flat > 0).nonzero()[:, 0].tolist()) <= set((falling > 0).nonzero()[:, 0].tolist())
