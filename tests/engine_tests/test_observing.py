"""A method that is observed answers as it does unobserved."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch

from runners.analysis.measure import observe_stream
from runners.analysis.observe import Observer
from runners.analysis.probing import group_losses
from runners.analysis.stream import ObservedRunner
from runners.base import Request
from runners.defaults import RunnerDefaults
from runners.engine.method import Method
from runners.profile import ModelProfile
from runners.records import Status, Warmth
from runners.registry import parse_specs
from workloads.records import Answer, Conversation, Turn


def observed(lab: Any, text: str, budget: int = 1 << 28, **defaults: Any) -> ObservedRunner:
    (spec,) = parse_specs([text], RunnerDefaults(budget_bytes=budget, **defaults))
    return ObservedRunner(spec, lab.model)


def requests(lab: Any) -> list[Request]:
    a, b, clip = lab.picture(0), lab.picture(1), lab.clip(2)
    return [
        lab.ask("x ", a, "and ", clip, "?"),
        lab.ask("y ", b, a, "?"),
        lab.ask("longer text before ", clip, b, a, "?"),
        lab.ask("longer text before ", clip, b, "another end?"),
    ]


@pytest.mark.every_method
@pytest.mark.parametrize("donor", ["previous", "isolated"])
def test_an_observed_method_answers_like_itself(lab: Any, name: str, donor: str) -> None:
    runner = observed(lab, name, donor=donor, recompute_ratio=0.3)
    alone = lab.engine(lab.method(name, donor=donor, recompute_ratio=0.3))
    for request in requests(lab):
        mine, its = runner.answer(request), alone.answer(request)
        assert mine.token_ids == its.token_ids
        np.testing.assert_array_equal(mine.first_logits, its.first_logits)
        assert mine.cache is not None
        assert mine.cache.computed_token_layers == its.cache.computed_token_layers
        assert mine.cache.flops == its.cache.flops


@pytest.mark.every_method
def test_an_observed_method_has_all_that_a_method_tells(lab: Any, name: str) -> None:
    method = lab.method(name)
    seen = Observer(method, 0).method
    told = [*inspect.get_annotations(Method)]
    told += [name for name, value in vars(Method).items() if isinstance(value, property)]
    assert {"uses_kv", "donor_policy"} <= set(told)
    assert {name: getattr(seen, name) for name in told} == {name: getattr(method, name) for name in told}


def test_what_the_inner_method_would_refuse_is_refused(lab: Any) -> None:
    method = lab.method("vlcache@probe=9")
    with pytest.raises(Exception, match="can be probed are 0 to 3"):
        Observer(method, 0).method.probe_layers(5, ModelProfile())


def stream(*contents: Any) -> list[Conversation]:
    turns = [
        Turn(f"request-{number}", content, Answer(("A",), "exact-match"), "any")
        for number, content in enumerate(contents)
    ]
    return [Conversation(turn.id, "cluster", "Be brief.", (turn,)) for turn in turns]


def test_only_warm_requests_that_were_answered_are_measured(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = lab.picture(0), lab.picture(1)
    conversations = stream(("x ", a, "?"), ("y ", a, b, "?"), ("z ", b, a, "?"), ("no picture",), ("w ", b, "?"))
    runner = observed(lab, "full-reuse")
    found = list(observe_stream("made-up", conversations, runner, 0.05))
    assert [record.warmth for record, _ in found] == [
        Warmth.COLD,
        Warmth.PARTIAL,
        Warmth.WARM,
        Warmth.COLD,
        Warmth.WARM,
    ]
    assert [seen is not None for _, seen in found] == [False, False, True, False, True]
    measured = found[2][1]
    assert measured is not None
    assert (measured.workload, measured.request, measured.cluster_id) == ("made-up", "request-2", "cluster")
    assert measured.medium.tolist() == [0] * 20 + [1] * 20
    assert measured.token.tolist() == [*range(20)] * 2

    head = lab.adapter.head
    monkeypatch.setattr(lab.adapter, "head", lambda hidden: head(hidden) * torch.nan)
    failed = list(observe_stream("made-up", conversations, runner, 0.05))
    assert {record.status for record, _ in failed} == {Status.ERROR}
    assert all(seen is None for _, seen in failed)


def test_a_stream_begins_with_nothing_stored(lab: Any) -> None:
    a = lab.picture(0)
    runner = observed(lab, "full-reuse")
    conversations = stream(("x ", a, "?"), ("y ", a, "?"))
    first, second = ([seen for _, seen in observe_stream("made-up", conversations, runner, 0.05)][-1] for _ in range(2))
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.errors.relative_v, second.errors.relative_v)
    assert first.staleness is not None


def test_what_was_evicted_has_no_staleness_and_is_computed(lab: Any) -> None:
    a = lab.picture(0)
    runner = observed(lab, "full-reuse", budget=1000)
    (_, (_, seen)) = list(observe_stream("made-up", stream(("x ", a, "?"), ("y ", a, "?")), runner, 0.05))
    assert seen is not None
    assert seen.staleness is None
    assert seen.errors.computed.all()
    assert seen.kl < 1e-9


def test_groups_of_probe_layers_are_tried_on_the_requests_that_were_measured(lab: Any) -> None:
    a, b = lab.picture(0), lab.picture(1)
    conversations = stream(("x ", a, "?"), ("y ", b, "?"), ("z ", b, a, "?"), ("no picture",), ("again ", a, b, "?"))
    runner = observed(lab, "full-reuse")
    measured = [seen for _, seen in observe_stream("made-up", conversations, runner, 0.25) if seen is not None]
    tried = list(group_losses("made-up", conversations, runner, [[0], [1], [2], [3], [0, 3]], 0.25))
    assert [losses is not None for losses in tried] == [False, False, True, False, True]
    for seen, losses in zip(measured, (tried[2], tried[4]), strict=True):
        assert seen.staleness is not None
        assert losses is not None
        np.testing.assert_allclose(losses[:4], seen.staleness.kl_probed, rtol=1e-6)
        assert 0 < losses[4] < 10 * seen.kl
