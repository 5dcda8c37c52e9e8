"""What staleness costs: in no layer, in one, in all, and after some tokens were recomputed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from runners.analysis.observe import Seen
from runners.analysis.probing import layer_drifts
from runners.analysis.repair import highest_first, kl_after
from runners.analysis.sensitivity import sensitivity, stale_in
from runners.analysis.stream import ObservedRunner
from runners.base import Request
from runners.defaults import RunnerDefaults
from runners.divergence import kl_divergence
from runners.engine.method import PlanContext
from runners.engine.plan import Plan
from runners.methods.full_reuse import FullReuse
from runners.methods.parts.drift import drift_scores
from runners.registry import parse_specs


@dataclass(frozen=True)
class Case:
    """A request that pure reuse answers wrongly, what reuse said, and what is right."""

    requests: list[Request]
    seen: Seen
    reused: NDArray[np.float32]
    exact: NDArray[np.float32]

    @property
    def candidates(self) -> int:
        return len(self.seen.context.candidates())

    @property
    def loss(self) -> float:
        return kl_divergence(self.exact, self.reused)


@pytest.fixture(scope="module")
def case(lab: Any) -> Case:
    a, b, c = (lab.picture(seed) for seed in range(3))
    contents = (("x ", a, b), ("y", c), ("now: ", b, c, " and ", a, "?"))
    requests = [lab.ask(*content, max_new_tokens=1) for content in contents]
    (spec,) = parse_specs(["full-reuse"], RunnerDefaults())
    runner = ObservedRunner(spec, lab.model)
    for request in requests:
        runner.answer(request)
    assert runner.last is not None
    response, seen = runner.last
    assert seen is not None
    assert response.first_logits is not None
    return Case(requests, seen, response.first_logits, lab.stock_logits(requests[-1]))


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    """As the command measures."""
    with torch.inference_mode():
        yield


def test_stale_in_no_layer_is_the_stock_models_answer(case: Case) -> None:
    np.testing.assert_allclose(stale_in(case.seen, ()), case.exact, atol=2e-4)


def test_stale_in_all_layers_is_pure_reuse(case: Case) -> None:
    np.testing.assert_allclose(stale_in(case.seen, range(5)), case.reused, atol=2e-4)
    assert np.abs(case.reused - case.exact).max() > 1e-2


def test_the_first_layer_costs_nothing_and_others_do(case: Case) -> None:
    costs = sensitivity(case.seen, case.exact)
    assert costs.shape == (5,)
    assert costs[0] < 1e-9
    assert costs[1:].min() > 1e-7


def test_no_token_recomputed_leaves_the_loss_of_reuse_and_all_leave_nothing(case: Case) -> None:
    order = np.arange(case.candidates)
    assert kl_after(case.seen, case.exact, order, 0.0) == pytest.approx(case.loss, rel=1e-3)
    assert kl_after(case.seen, case.exact, order, 1.0) < 1e-9
    assert case.loss > 1e-5


def test_measuring_leaves_the_request_as_it_was(case: Case) -> None:
    seen, order = case.seen, np.arange(case.candidates)
    buffers = (seen.context.kv.k, seen.context.kv.v, seen.stored.k, seen.stored.v)
    before = [buffer.clone() for buffer in buffers]
    layer_drifts(seen)
    kl_after(seen, case.exact, order, 0.5)
    sensitivity(seen, case.exact)
    span = slice(seen.context.layout.tokens)
    for buffer, copy in zip(buffers[:2], before[:2], strict=True):
        assert torch.equal(buffer[:, :, span], copy[:, :, span])
    reused = seen.context.candidates()
    for buffer, copy in zip(buffers[2:], before[2:], strict=True):
        assert torch.equal(buffer[:, :, reused], copy[:, :, reused])


@pytest.mark.parametrize("layer", range(4))
def test_the_drift_of_a_layer_is_what_a_method_that_probes_it_sees(lab: Any, case: Case, layer: int) -> None:
    scores = []

    class Probing(FullReuse):
        def probe_layers(self, layers: int, profile: Any) -> tuple[int, ...]:
            return (layer,)

        def plan(self, context: PlanContext) -> Plan:
            if context.reusable:
                context.compute_before_candidates(layer + 1)
                scores.append(drift_scores(context, torch.arange(len(context.candidates()))))
            return super().plan(context)

    lab.answer(Probing(), *case.requests)
    drifts = layer_drifts(case.seen)
    assert drifts.shape == (4, case.candidates)
    np.testing.assert_allclose(drifts[layer], scores[-1].numpy(), rtol=1e-4)


def test_the_highest_come_first_and_equal_ones_in_their_order() -> None:
    assert highest_first(np.array([1.0, 3.0, 1.0, 3.0, 2.0])).tolist() == [1, 3, 4, 0, 2]
