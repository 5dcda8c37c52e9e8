"""Sums over ranks, and decisions that all ranks must share, with another rank that is only imagined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from runners.engine import parallel
from runners.engine.parallel import (
    bytes_over_ranks,
    everywhere,
    failing_alike,
    own_part,
    ranks,
    require_agreement,
    sum_over_ranks,
)
from runners.engine.plan import Plan
from runners.engine.shapes import TextShape
from runners.methods.parts.attention_mass import attention_mass
from runners.ranks import RanksDiffer
from runners.records import Repair

SHAPE = TextShape(
    layers=2,
    hidden=32,
    heads=8,
    kv_heads=4,
    head_dim=4,
    intermediate=64,
    vocabulary=100,
    context=64,
    rope_axes=1,
)


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Tensor], Tensor]], None]:
    """Imagines a second rank, which has what a function makes of this one's tensor."""

    def imagine(tensor_of: Callable[[Tensor], Tensor]) -> None:
        def all_reduce(own: Tensor) -> None:
            own.add_(tensor_of(own.clone()))

        def all_gather(found: list[Tensor], own: Tensor) -> None:
            found[0].copy_(own)
            found[1].copy_(tensor_of(own.clone()))

        monkeypatch.setattr(parallel, "ranks", lambda: 2)
        monkeypatch.setattr("runners.methods.parts.attention_mass.ranks", lambda: 2)
        monkeypatch.setattr("torch.distributed.all_reduce", all_reduce)
        monkeypatch.setattr("torch.distributed.all_gather", all_gather)

    return imagine


def test_alone_nothing_is_done() -> None:
    own = torch.arange(3.0)
    assert ranks() == 1
    assert sum_over_ranks(own) is own
    assert own_part(own) is own
    require_agreement("anything", lambda: pytest.fail("asked"))
    assert (bytes_over_ranks(7), bytes_over_ranks(None)) == (7, None)
    assert (everywhere(True), everywhere(False)) == (True, False)


def test_a_sum_is_of_all_ranks_and_leaves_the_own_part_as_it_is(
    other: Callable[[Callable[[Tensor], Tensor]], None],
) -> None:
    other(lambda own: 10 * own)
    own = torch.arange(3.0)
    assert sum_over_ranks(own).tolist() == [0.0, 11.0, 22.0]
    assert own.tolist() == [0.0, 1.0, 2.0]
    assert (bytes_over_ranks(7), bytes_over_ranks(None)) == (77, None)


def test_what_holds_in_one_process_alone_holds_not_everywhere(
    other: Callable[[Callable[[Tensor], Tensor]], None],
) -> None:
    other(lambda own: own)
    assert (everywhere(True), everywhere(False)) == (True, False)
    other(lambda own: 1 - own)
    assert (everywhere(True), everywhere(False)) == (False, False)


def test_those_who_decide_alike_go_on_and_others_stop(other: Callable[[Callable[[Tensor], Tensor]], None]) -> None:
    other(lambda own: own)
    require_agreement("a plan", lambda: b"alike")
    other(lambda own: own + 1)
    with pytest.raises(RanksDiffer, match="differ in a plan: "):
        require_agreement("a plan", lambda: b"alike")


def test_all_fail_or_none(other: Callable[[Callable[[Tensor], Tensor]], None]) -> None:
    def fail() -> None:
        with failing_alike("a prompt"):
            raise ValueError("too slow")

    other(lambda own: own)
    with failing_alike("a prompt"):
        pass
    with pytest.raises(ValueError, match="too slow"):
        fail()
    other(lambda own: own + 1)
    with pytest.raises(RanksDiffer), failing_alike("a prompt"):
        pass
    with pytest.raises(RanksDiffer):
        fail()


def test_attention_mass_of_half_the_heads_each_is_that_of_all(
    other: Callable[[Callable[[Tensor], Tensor]], None],
) -> None:
    q, k, at = torch.randn(2, 8, 3, 4), torch.randn(2, 4, 6, 4), torch.tensor([3, 4, 5])
    whole = attention_mass(q, k, at)
    second = attention_mass(q[:, 4:], k[:, 2:], at) * len(at)
    other(lambda own: second)
    torch.testing.assert_close(attention_mass(q[:, :4], k[:, :2], at), whole)


def test_the_whole_model_has_sizes_and_a_process_has_heads() -> None:
    half = replace(SHAPE, parts=2)
    assert (half.heads, half.own_heads, half.kv_heads, half.own_kv_heads) == (8, 4, 4, 2)
    assert (SHAPE.own_heads, SHAPE.own_kv_heads) == (8, 4)


@pytest.mark.parametrize(
    "change",
    [
        {"depth": torch.tensor([2, 1])},
        {"rehearsed": torch.tensor([True, False])},
        {"repair": Repair(0.5, 0.1)},
        {"least_margin": 0.5},
        {"refine": lambda fresh: None},
    ],
)
def test_a_decision_is_all_of_a_plan(change: dict[str, Any]) -> None:
    plan = Plan(torch.tensor([2, 2]))
    assert plan.decision == Plan(torch.tensor([2, 2])).decision
    assert replace(plan, **change).decision != plan.decision
