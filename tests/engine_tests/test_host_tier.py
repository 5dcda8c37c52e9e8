"""What is stored also lives on the host: answers are the same from there, and what the device gave up is not lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from runners.base import Response
from runners.engine.kv.buffer import KVBuffer
from runners.engine.kv.fetch import KV, Fetched, Fetcher, to_host
from runners.records import Status

PLENTY = 1 << 28


def conversation(lab: Any) -> list[Any]:
    """Media that come back, in other places, beside new ones, after equal beginnings and others."""
    a, b, c = (lab.moving(seed) if seed == 2 else lab.picture(seed) for seed in (0, 1, 2))
    return [
        lab.ask("x ", a, "one"),
        lab.ask("x ", a, "two"),
        lab.ask("now ", b, a, "which?"),
        lab.ask(c, "and ", a, b),
        lab.ask("now ", b, a, "which, and why?", max_new_tokens=6),
        lab.ask("again ", c, a),
    ]


def same(first: Response, second: Response) -> bool:
    assert first.status is second.status is Status.OK, (first.error, second.error)
    assert first.first_logits is not None
    assert second.first_logits is not None
    return first.token_ids == second.token_ids and np.array_equal(first.first_logits, second.first_logits)


@pytest.mark.parametrize("donor", ["previous", "template"])
@pytest.mark.every_method(reuses=True)
def test_no_tier_changes_an_answer(lab: Any, name: str, donor: str) -> None:
    """Answers are equal to the last bit: donors are the same, and on a CPU so are kernels."""
    method = lab.method(name, recompute_ratio=0.2, donor=donor)
    budgets = {"device": (PLENTY, 0), "host": (0, PLENTY), "both": (PLENTY, PLENTY)}
    engines = {tier: lab.engine(method, device, host_budget=host) for tier, (device, host) in budgets.items()}
    for request in conversation(lab):
        responses = {tier: engine.answer(request) for tier, engine in engines.items()}
        assert same(responses["device"], responses["host"])
        assert same(responses["device"], responses["both"])
        hits = {response.cache.media_hits for response in responses.values()}
        assert len(hits) == 1


@pytest.mark.parametrize("family", ["qwen3_vl", "llava"])
def test_no_tier_changes_an_answer_of_other_families(lab_of: Any, family: str) -> None:
    lab = lab_of(family)
    method = lab.method("vlcache", recompute_ratio=0.2)
    device, host = lab.engine(method), lab.engine(method, 0, host_budget=PLENTY)
    assert all(same(device.answer(request), host.answer(request)) for request in conversation(lab))


@pytest.mark.every_method(reuses=True)
def test_nothing_is_read_before_it_has_arrived(lab: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    method = lab.method(name, recompute_ratio=0.2)
    engine, expected = lab.engine(method, 0, host_budget=PLENTY), lab.engine(method)

    def poisoned(self: Fetcher, source: Tensor) -> Tensor:
        room = torch.empty_like(source)
        return room.fill_(torch.nan) if room.is_floating_point() else room

    monkeypatch.setattr(Fetcher, "_room_for", poisoned)
    assert all(same(engine.answer(request), expected.answer(request)) for request in conversation(lab))


def test_layers_come_one_by_one(lab: Any) -> None:
    arrived: list[int] = []
    kv = KVBuffer.allocate(lab.adapter.kv_shape, 3)
    kv.expect(arrived.append)
    kv.layer(2)
    kv.layer(2)
    assert arrived == [2]
    kv.first(2)
    assert arrived == [2, 0, 1]
    assert kv.k.shape == kv.v.shape
    assert sorted(arrived) == list(range(lab.adapter.shape.layers))


def test_a_layer_is_copied_when_it_is_waited_for(lab: Any) -> None:
    k, v = (torch.randn(3, 2, 4, 8) for _ in range(2))
    fetched = Fetcher(torch.device("cpu")).fetch([(to_host(k), to_host(v))])
    ((there_k, there_v),) = fetched.pairs
    there_k.zero_(), there_v.zero_()
    fetched.wait(1)
    assert torch.equal(there_k[1], k[1])
    assert torch.equal(there_v[1], v[1])
    assert not there_k[[0, 2]].any()


def test_what_the_device_gave_up_comes_back_from_the_host(lab: Any) -> None:
    method = lab.method("full-reuse")
    pictures = [lab.picture(seed) for seed in range(4)]
    one = lab.engine(method)
    one.answer(lab.ask("x ", pictures[0]))
    room = int(1.5 * one._stores.tiers.nbytes("device"))
    alone, behind = lab.engine(method, room), lab.engine(method, room, host_budget=PLENTY)
    for picture in pictures:
        for engine in (alone, behind):
            engine.answer(lab.ask("x ", picture))
    again = lab.ask("here: ", pictures[0])
    lost, kept = alone.answer(again), behind.answer(again)
    assert lost.cache.kv_hits == 0
    assert lost.cache.fallbacks == ("picture-0.png was evicted from the store",)
    assert kept.cache.kv_hits == 1
    assert kept.cache.fallbacks == ()
    assert kept.demand.fetch_bytes > 0
    assert kept.timing.host_ttft_ms == kept.timing.ttft_ms
    # it is on the device again: the next answer does not fetch it
    assert behind.answer(lab.ask("there: ", pictures[0])).demand.fetch_bytes == 0


@pytest.mark.every_method(reuses=True)
def test_every_reuse_is_timed_from_the_host_too(lab: Any, name: str) -> None:
    engine = lab.engine(lab.method(name), host_budget=PLENTY)
    cold, warm = (engine.answer(lab.ask(text, lab.picture(0))) for text in ("x ", "y "))
    assert cold.timing.host_ttft_ms is None or cold.cache.prefix_tokens
    assert warm.timing.host_ttft_ms > 0
    assert lab.engine(lab.method(name)).answer(lab.ask("x ", lab.picture(0))).timing.host_ttft_ms is None


def test_timing_from_the_host_leaves_no_trace(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers, counts and stores are those of an engine that times nothing twice."""
    method = lab.method("vlcache", recompute_ratio=0.2)
    timed, plain = (lab.engine(method, 400_000, host_budget=PLENTY) for _ in range(2))  # a budget that evicts
    monkeypatch.setattr(plain._stores, "on_host", lambda *found: None)
    for request in conversation(lab):
        first, second = timed.answer(request), plain.answer(request)
        assert same(first, second)
        assert first.cache == second.cache
        assert first.demand == second.demand
    held = [[list(tier.entries.items()) for tier in engine._stores.tiers._tiers] for engine in (timed, plain)]
    assert [[key for key, _ in tier] for tier in held[0]] == [[key for key, _ in tier] for tier in held[1]]


def test_a_small_host_budget_says_nothing(lab: Any) -> None:
    engine = lab.engine(lab.method("full-reuse"), host_budget=10)
    for text in ("x ", "y "):
        response = engine.answer(lab.ask(text, lab.picture(0)))
        assert response.timing.host_ttft_ms is None
        assert response.cache.host_bytes == 0
    assert response.cache.kv_hits == 1


def test_both_tiers_are_counted(lab: Any) -> None:
    engine = lab.engine(lab.method("vlcache"), host_budget=PLENTY)
    response = engine.answer(lab.ask("x ", lab.picture(0)))
    assert response.cache.host_bytes == response.cache.stored_bytes > 0
    engine.reset()
    assert engine._stores.tiers.nbytes("host") == 0


def test_an_answer_is_not_lost_when_timing_it_again_takes_too_much_memory(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, picture = lab.engine(lab.method("full-reuse"), host_budget=PLENTY), lab.picture(0)
    engine.answer(lab.ask("x ", picture))

    fetch = Fetcher.fetch

    def exhausted(self: Fetcher, sources: Sequence[KV]) -> Fetched:
        if sources:
            raise MemoryError
        return fetch(self, sources)

    monkeypatch.setattr(Fetcher, "fetch", exhausted)
    response = engine.answer(lab.ask("y ", picture))
    assert response.status is Status.OK
    assert response.timing.host_ttft_ms is None
