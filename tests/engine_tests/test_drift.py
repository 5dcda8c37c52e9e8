"""The drift probe says by how much reused tokens' attention output would change."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar
from unittest.mock import Mock

import pytest
import torch
from torch import Tensor

from runners.base import Request
from runners.engine import engine
from runners.engine.kv.sketch import OutputSketch
from runners.engine.method import PlanContext
from runners.engine.plan import Plan
from runners.methods.parts import drift
from runners.methods.parts.image_coefficient import image_coefficients
from runners.methods.parts.text_pass import run_text_pass
from runners.methods.vlcache import VLCache


class WithoutPrefix(VLCache):
    """Probes every medium, even where an exact prefix would do."""

    uses_prefix: ClassVar[bool] = False
    drifts: ClassVar[list[Tensor]] = []
    changes: ClassVar[list[Tensor]] = []
    attention: ClassVar[list[Tensor]] = []
    written: ClassVar[list[Tensor]] = []

    def plan(self, context: PlanContext) -> Plan:
        if context.reusable:
            among = torch.arange(len(context.candidates()))
            text = run_text_pass(context)
            self.drifts.append(drift.drift_scores(context, among))
            self.changes.append(drift.drift(context, among))
            self.attention.append(text.attention.mean(dim=0))
            self.written.append(text.written * image_coefficients(context, text.written))
        return super().plan(context)


@pytest.fixture(autouse=True)
def _exact_sketches(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "OutputSketch", partial(OutputSketch, width=lab.adapter.shape.hidden))


@pytest.fixture
def probed() -> type[WithoutPrefix]:
    WithoutPrefix.drifts.clear()
    WithoutPrefix.changes.clear()
    WithoutPrefix.attention.clear()
    WithoutPrefix.written.clear()
    return WithoutPrefix


def stock_attention(lab: Any, request: Request) -> Tensor:
    """Projected attention output of layer 0 in the stock forward, ``(tokens, hidden)``."""
    caught: list[Tensor] = []
    attention = lab.stock.model.language_model.layers[0].self_attn
    handle = attention.register_forward_hook(lambda module, given, out: caught.append(out[0][0]))
    lab.stock_logits(request)
    handle.remove()
    return caught[0]


def media_rows(lab: Any, request: Request) -> list[int]:
    rows: list[int] = lab.stock_inputs(request)["mm_token_type_ids"][0].nonzero()[:, 0].tolist()
    return rows


def test_the_drift_of_layer_zero_is_what_two_stock_forwards_differ_in(lab: Any, probed: type[WithoutPrefix]) -> None:
    a, b = lab.picture(0), lab.picture(1, rows=6)
    one, two, target = lab.ask("x ", a), lab.ask(b, "y"), lab.ask("moved ", b, " far ", a, "?")
    lab.answer(probed(share="0.5", probe="0", donor="previous"), one, two, target)
    then = torch.cat([stock_attention(lab, two)[media_rows(lab, two)], stock_attention(lab, one)[media_rows(lab, one)]])
    change = (stock_attention(lab, target)[media_rows(lab, target)] - then).norm(dim=-1)
    torch.testing.assert_close(probed.drifts[-1], change / change.mean(), atol=0.03, rtol=0.03)
    assert probed.drifts[-1].max() > 1.2, "tokens differ in it"


def test_there_is_no_drift_in_the_donors_own_context(lab: Any, probed: type[WithoutPrefix]) -> None:
    a, b = lab.picture(0), lab.picture(1)
    method = probed(share="0.5", probe="0+1+2+3", donor="previous")
    lab.answer(method, lab.ask("same ", a, b, "first?"), lab.ask("same ", a, b, "another?"))
    lab.answer(method, lab.ask("same ", a, b, "first?"), lab.ask("other ", b, a, "another?"))
    own, other = probed.changes
    assert own.shape == other.shape == (4, 40)
    assert own.max() < 0.05 * other.mean(), "the queries' eight bits"
    assert other.min() > 1e-3


@pytest.mark.parametrize("ratio", [0.05, 0.2, 0.9])
def test_vlcache_computes_in_turn_what_writes_most_to_the_question_and_what_changed_most(
    lab: Any, probed: type[WithoutPrefix], observe: Any, ratio: float
) -> None:
    a, b, clip = lab.picture(0), lab.picture(1, rows=6), lab.clip(0)
    method = probed(share=str(ratio), probe="0")
    seen = observe(method)
    lab.answer(method, lab.ask("x ", a), lab.ask(b, "y"), lab.ask("z", clip), lab.ask("now: ", b, a, " and ", clip))
    context, plan, _ = seen.last
    candidates = context.candidates()
    count = int(ratio * len(candidates) + 1e-9)
    chosen = (plan.depth[candidates] > 0).nonzero()[:, 0].tolist()
    assert len(chosen) == count
    read, written, drifts = probed.attention[-1], probed.written[-1], probed.drifts[-1]
    listed = set(read.topk(min(len(read), 4 * count)).indices.tolist())
    changed = torch.tensor([read[i].sqrt() * drifts[i] if i in listed else 0.0 for i in range(len(read))])
    in_turn = [order.argsort(descending=True, stable=True).tolist() for order in (written, changed)]
    first = set(in_turn[0][: count // 2]) | set(in_turn[1][: count // 2])
    assert first <= set(chosen) <= set(in_turn[0][:count]) | set(in_turn[1][:count])


def test_what_several_layers_find_outweighs_the_noise_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found, noise = [1.0, 1.0, 1.0, 3.0], [1.0, 4.0, 1.0, 1.0]
    monkeypatch.setattr(drift, "drift", lambda context, among: torch.tensor([found, found, noise]))
    scores = drift.drift_scores(Mock(), torch.arange(4))
    assert scores.argmax() == 3
    torch.testing.assert_close(scores[3], torch.tensor((2 * 3 / 1.5 + 1 / 1.75) / 3))
