"""Stored keys and values are put where media stand now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from runners.engine import loading
from runners.engine.adapters.registry import ADAPTERS
from runners.engine.kv.placing import placing
from runners.engine.kv.rotary import rotate
from runners.engine.kv.stored import Place, StoredKV


def some(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape).to(dtype)


def medium(start: int = 2, tokens: int = 5, dtype: torch.dtype = torch.float32) -> StoredKV:
    sizes = ((3, 2, tokens, 8), (3, 2, tokens, 8), (tokens, 8), (tokens, 8))
    return StoredKV(start, *(some(*size, dtype=dtype) for size in sizes))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_keys_are_rotated_values_are_not_and_nothing_else_is_touched(dtype: torch.dtype) -> None:
    k, v = some(3, 2, 12, 8, dtype=dtype), some(3, 2, 12, 8, dtype=dtype)
    before_k, before_v = k.clone(), v.clone()
    media = [medium(dtype=dtype), medium(start=8, tokens=3, dtype=dtype)]
    place = placing(media, k, v)
    place(0, 1)
    place(1, 3)
    for stored in media:
        span = slice(stored.start, stored.end)
        for layer in range(3):
            for head in range(2):
                expected = rotate(stored.k[layer, head], stored.cos, stored.sin)
                torch.testing.assert_close(k[layer, head, span], expected, atol=0, rtol=0)
        torch.testing.assert_close(v[:, :, span], stored.v, atol=0, rtol=0)
        before_k[:, :, span], before_v[:, :, span] = k[:, :, span], v[:, :, span]
    assert torch.equal(k, before_k)
    assert torch.equal(v, before_v)


def test_no_media_no_change() -> None:
    k, v = some(3, 2, 12, 8), some(3, 2, 12, 8)
    before = k.clone()
    placing([], k, v)(0, 3)
    assert torch.equal(k, before)


@pytest.mark.parametrize("name", list(ADAPTERS))
@pytest.mark.parametrize("runner", ["full-reuse", "full-reuse@rotate=false"])
def test_what_the_engine_places_can_be_read_by_address(
    lab_of: Any, name: str, runner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = lab_of(name)
    seen: list[StoredKV] = []

    def read(stored: Sequence[StoredKV], k: Tensor, v: Tensor) -> Place:
        for part in stored:
            part.require_readable(k, v)
        seen.extend(stored)
        return placing(stored, k, v)

    monkeypatch.setattr(loading, "placing", read)
    a, b = lab.picture(0), lab.picture(1, rows=1, cols=2)
    lab.answer(lab.method(runner), lab.ask("x", a, b), lab.ask("moved ", b, a), lab.ask("x", a, "then", b, b))
    assert len(seen) >= 3  # a prefix may cover one


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"start": 8}, "does not fit"),
        ({"start": -1}, "does not fit"),
        ({"v": some(3, 2, 4, 8)}, "does not fit"),
        ({"cos": some(5, 4)}, "does not fit"),
        ({"k": some(3, 2, 5, 8).double()}, "differ in dtype or device"),
        ({"sin": some(5, 8).half()}, "differ in dtype or device"),
        ({"k": some(3, 2, 8, 5).transpose(2, 3)}, "one after the other"),
        ({"cos": some(5, 16)[:, ::2]}, "one after the other"),
    ],
)
def test_what_a_kernel_would_misread_is_refused(change: dict[str, Any], complaint: str) -> None:
    k, v = some(3, 2, 12, 8), some(3, 2, 12, 8)
    medium().require_readable(k, v)
    with pytest.raises(ValueError, match=complaint):
        replace(medium(), **change).require_readable(k, v)
