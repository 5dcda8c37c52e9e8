"""Keys and values of requests share memory: nothing of one request is seen by another, and nothing is held on to."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from runners.engine.graphs.buckets import EXACT, bucket
from runners.engine.kv.buffer import KVBuffer
from runners.engine.kv.workspace import Workspace


@given(size=st.integers(0, 1 << 20), more=st.integers(0, 1 << 16), multiple=st.sampled_from([1, 16, 256]))
def test_buckets_hold_what_they_are_for_and_waste_little(size: int, more: int, multiple: int) -> None:
    found = bucket(size, multiple)
    assert size <= found < max(1.25 * size, size + 1) + multiple
    assert found % multiple == 0
    assert bucket(found, multiple) == found
    assert found <= bucket(size + more, multiple)
    if multiple == 1 and size <= EXACT:
        assert found == size


def test_buckets_are_few() -> None:
    assert len({bucket(size) for size in range(1, 1025)}) == EXACT + 4 * 6


@given(capacities=st.lists(st.integers(1, 300), min_size=2, max_size=6))
def test_equal_rooms_are_at_equal_addresses_until_the_memory_grows(lab: Any, capacities: list[int]) -> None:
    workspace = Workspace(lab.adapter.kv_shape)
    largest = workspace.kv(300)
    places: dict[tuple[int, ...], tuple[int, int]] = {largest.k.shape: (largest.k.data_ptr(), largest.v.data_ptr())}
    for capacity in capacities:
        kv = workspace.kv(capacity)
        shape = lab.adapter.shape
        assert kv.k.shape == kv.v.shape == (shape.layers, shape.kv_heads, bucket(capacity + 1), shape.head_dim)
        assert kv.k.is_contiguous()
        assert kv.v.is_contiguous()
        assert places.setdefault(kv.k.shape, (kv.k.data_ptr(), kv.v.data_ptr())) == (kv.k.data_ptr(), kv.v.data_ptr())
        kv.k.fill_(1.0)
        kv.v.fill_(2.0)
        assert bool((kv.k == 1.0).all()), "keys and values do not overlap"
    assert workspace.nbytes == largest.k.nbytes + largest.v.nbytes


def test_room_is_what_the_attention_backend_wants(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(lab.adapter.attention), "page", 256)
    assert Workspace(lab.adapter.kv_shape).kv(256).k.shape[2] == 512


def test_memory_that_was_outgrown_is_given_back_before_more_is_taken(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace(lab.adapter.kv_shape)
    old = weakref.ref(workspace.kv(20).k._base)
    assert old() is not None
    allocate, held = torch.empty, []

    def empty(*args: Any, **options: Any) -> torch.Tensor:
        held.append(old())
        return allocate(*args, **options)

    monkeypatch.setattr(torch, "empty", empty)
    workspace.kv(23)
    assert held == [], "there is room for some more"
    workspace.kv(100)
    assert held == [None]


@pytest.mark.parametrize("donor", ["previous", "template"])
@pytest.mark.every_method
def test_runners_that_share_memory_answer_as_alone(
    lab: Any, name: str, donor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = lab.picture(0), lab.picture(1)
    long = lab.ask("long ", lab.picture(2, rows=8), b, "?")
    requests = [lab.ask("x ", a), lab.ask(b, "y", a), long, lab.ask("z ", b, "w", a, a)]
    method = lab.method(name, recompute_ratio=0.3, donor=donor)
    workspace = Workspace(lab.adapter.kv_shape)
    monkeypatch.setattr(lab, "workspace", workspace)
    engine, others = lab.engine(method), [lab.engine(lab.method(other)) for other in ("full", "full-reuse")]
    alone = []
    for request in requests:
        workspace.release()
        alone.append(engine.answer(request))
    engine.reset()
    workspace.release()
    for request, expected in zip(requests, alone, strict=True):
        for other in others:
            other.answer(request)
        response = engine.answer(request)
        assert (response.status, response.token_ids) == (expected.status, expected.token_ids), response.error
        np.testing.assert_array_equal(response.first_logits, expected.first_logits)


def test_scratch_copies_are_their_own(lab: Any) -> None:
    scratch = KVBuffer.allocate(lab.adapter.kv_shape, 12)
    assert scratch.graphs is None
    assert scratch.k.shape[2] == 12
    assert scratch.k.data_ptr() != lab.workspace.kv(12).k.data_ptr()
