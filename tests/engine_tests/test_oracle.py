"""The oracle knows the true change and who reads it: against the stock model, and free of charge."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from runners.base import Request
from runners.engine.method import PlanContext
from runners.methods.oracle import Oracle
from workloads.errors import UsageError


class Watched(Oracle):
    """Scores every medium, even where an exact prefix would do, and keeps what it saw."""

    uses_prefix: ClassVar[bool] = False
    seen: ClassVar[list[tuple[PlanContext, Tensor]]] = []

    def scores(self, context: PlanContext) -> Tensor:
        made = super().scores(context)
        self.seen.append((context, made))
        return made


@pytest.fixture
def watched() -> type[Watched]:
    Watched.seen.clear()
    return Watched


def moved(lab: Any) -> list[Request]:
    a, b = lab.picture(0), lab.picture(1, rows=6)
    return [lab.ask("x ", a), lab.ask(b, "y"), lab.ask("now: ", b, " and ", a, "?")]


def true_effect(lab: Any, request: Request, context: PlanContext, layer: int) -> Tensor:
    """Attention from the text behind the media in the stock forward, times the distance of the stored V from its V."""
    stored = torch.cat([part.donor.v[layer].transpose(0, 1).flatten(1) for part in context.reusable])
    question = int(context.candidates()[-1]) + 1
    attention = lab.stock_attention(request)[layer][:, question:].mean(dim=(0, 1))[context.candidates()]
    effect: Tensor = attention * (lab.stock_values(request)[layer][context.candidates()] - stored).norm(dim=-1)
    return effect


@pytest.mark.parametrize("layer", [-1, 1, 4])
def test_scores_are_what_the_question_reads_of_the_true_change_and_the_largest_is_recomputed(
    lab: Any, watched: type[Watched], observe: Any, layer: int
) -> None:
    method = watched(ratio=0.1, layer=layer)
    seen = observe(method)
    requests = moved(lab)
    lab.answer(method, *requests)
    context, scores = watched.seen[-1]
    layers = range(context.layers) if layer == -1 else [layer]
    expected = torch.stack([true_effect(lab, requests[-1], context, each) for each in layers]).sum(dim=0)
    torch.testing.assert_close(scores, expected, atol=1e-5, rtol=1e-3)
    depth = seen.last[1].depth[context.candidates()]
    assert set(depth.nonzero()[:, 0].tolist()) == set(expected.topk(5).indices.tolist())
    assert depth[expected.argmax()] == context.layers


def test_a_medium_in_its_old_context_deviates_by_nothing_and_one_in_another_does(
    lab: Any, watched: type[Watched]
) -> None:
    a, b = lab.picture(0), lab.picture(1, rows=6)
    lab.answer(watched(ratio=0.1), lab.ask("Look ", a), lab.ask("elsewhere ", b), lab.ask("Look ", a, " and ", b))
    context, scores = watched.seen[-1]
    unchanged, changed = scores.split([part.tokens for part in context.reusable])
    assert unchanged.max() < 1e-5
    assert changed.min() > 1e-3


def test_it_is_for_analysis_and_counts_no_work_for_looking(lab: Any, observe: Any) -> None:
    assert Oracle.analysis_only
    method = Oracle(ratio=0.2)
    seen = observe(method)
    response = lab.answer(method, *moved(lab))
    assert seen.contexts[-1].selection_flops == 0
    blind = lab.answer(lab.method("random-k", recompute_ratio=0.2), *moved(lab))
    assert response.cache.computed_token_layers == blind.cache.computed_token_layers


def test_a_layer_that_is_none_is_refused_before_anything_runs(lab: Any) -> None:
    with pytest.raises(UsageError, match=r"^layer=5: the model's layers are 0 to 4$"):
        lab.engine(Oracle(layer=5))
