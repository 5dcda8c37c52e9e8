"""Run by test_triton.py, with TRITON_INTERPRET=1: what our kernels compute is what the references compute."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from triton.runtime import interpreter

from runners.engine import loading
from runners.engine.attention.backends import choose_backend
from runners.engine.attention.sdpa import Sdpa
from runners.engine.attention.triton_attention import TritonAttention
from runners.engine.attention.view import LookBack
from runners.engine.graphs.arena import Arena
from runners.engine.graphs.graphs import Graphs
from runners.engine.kv.placing import placing_by_torch
from runners.engine.kv.stored import StoredKV
from runners.engine.kv.triton_placing import placing_by_kernel
from runners.engine.kv.workspace import Workspace
from runners.methods.full_recompute import FullRecompute

CPU = torch.device("cpu")
TOLERANCES = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 0.02}  # of outputs of order 1
CUT_OFF = 2**-5  # of numbers of order 1, through three operations in bfloat16

multiply = interpreter.InterpreterBuilder.create_dot


def multiply_bfloat16(builder: Any, a: Any, b: Any, *rest: Any) -> Any:
    """Triton's interpreter (3.6 to 3.8) holds bfloat16 as integers, and multiplies matrices of them as integers."""
    return multiply(builder, *(_widened(x) for x in (a, b)), *rest)


def _widened(handle: Any) -> Any:
    if handle.data.dtype != np.uint16:
        return handle
    numbers = (handle.data.astype(np.uint32) << 16).view(np.float32)
    return interpreter.TensorHandle(numbers, interpreter.tl.float32)


@pytest.fixture(autouse=True, scope="module")
def _bfloat16() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpreter.InterpreterBuilder, "create_dot", multiply_bfloat16)
        yield


@pytest.mark.parametrize("dtype", TOLERANCES)
@hypothesis_settings(max_examples=8)
@example(tokens=600, share=0.1, seed=1, groups=3, head_dim=48, processors=132, clustered=True)
@example(tokens=65, share=None, seed=0, groups=7, head_dim=128, processors=8, clustered=False)
@given(
    tokens=st.sampled_from([1, 2, 63, 64, 65, 200]),
    share=st.sampled_from([None, 0.0, 0.03, 0.2, 1.0]),
    seed=st.integers(0, 1000),
    groups=st.integers(1, 8),
    head_dim=st.sampled_from([16, 48, 128, 256]),
    processors=st.sampled_from([1, 8, 132]),
    clustered=st.booleans(),
)
def test_attention_equals_the_reference(
    attention_case: Any, dtype: torch.dtype, share: float | None, tokens: int, processors: int, **options: Any
) -> None:
    case = attention_case(tokens, share, **options).to(dtype)
    exact = case.to(torch.float32)
    found = TritonAttention(processors).attend(case.q, case.k, case.v, case.view)
    assert found.dtype == dtype
    expected = Sdpa().attend(exact.q, exact.k, exact.v, exact.view)
    torch.testing.assert_close(found.float(), expected, atol=TOLERANCES[dtype], rtol=TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", TOLERANCES)
@hypothesis_settings(max_examples=8)
@example(media=[(90, 5, 4), (1, 0, 0), (33, 2, 1)], layers=3, kv_heads=4, head_dim=80, seed=6)
@given(
    media=st.lists(st.tuples(st.integers(1, 90), st.integers(0, 5), st.integers(0, 4)), min_size=0, max_size=4),
    layers=st.integers(1, 3),
    kv_heads=st.integers(1, 4),
    head_dim=st.sampled_from([4, 16, 80, 128]),
    seed=st.integers(0, 1000),
)
def test_placing_equals_the_reference(
    dtype: torch.dtype, media: list[tuple[int, int, int]], layers: int, kv_heads: int, head_dim: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)

    def some(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(dtype)

    stored, at = [], seed % 7
    for tokens, offset, gap in media:
        k, v = (some(layers, kv_heads, tokens + offset, head_dim)[:, :, offset:] for _ in range(2))
        cos, sin = (some(tokens + offset, head_dim)[offset:] for _ in range(2))
        stored.append(StoredKV(at, k, v, cos, sin))
        at += tokens + gap
    before = some(layers, kv_heads, at + 3, head_dim)
    k, v, expected_k, expected_v = (before.clone() for _ in range(4))
    place = placing_by_kernel(stored, k, v)
    place(0, 1)
    place(1, layers)
    placing_by_torch(stored, expected_k, expected_v)(0, len(k))
    torch.testing.assert_close(v, expected_v, atol=0, rtol=0)
    # to bfloat16 Triton's interpreter cuts off what a GPU rounds
    tolerance = CUT_OFF if dtype == torch.bfloat16 else 0
    torch.testing.assert_close(k, expected_k, atol=tolerance, rtol=tolerance)


def test_the_engine_answers_alike_with_our_kernels(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = lab.picture(0), lab.picture(1)
    requests = [lab.ask("x ", a), lab.ask("y", a, b), lab.ask("z ", b, a, "!", max_new_tokens=3)]
    for method in (FullRecompute(), lab.method("vlcache", recompute_ratio=0.2)):
        expected = lab.answer(method, *requests)
        with monkeypatch.context() as patch:
            patch.setattr(loading, "placing", placing_by_kernel)
            patch.setattr(lab.adapter, "attention", choose_backend("triton", CPU, torch.float32, 16))
            found = lab.answer(method, *requests)
        lab.assert_equal(found, expected)
        assert found.token_ids == expected.token_ids


class Again:
    """A ``Recorder`` that does the work again."""

    nbytes = 0

    def record(self, work: Any, tensors: tuple[Any, ...]) -> Any:
        return partial(work, *tensors)


def test_the_engine_answers_alike_with_our_kernels_on_fixed_views(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = lab.picture(0), lab.picture(1)
    requests = [lab.ask("x ", a), lab.ask("y", a, b), lab.ask("z ", b, a, "!", max_new_tokens=3)]
    method = lab.method("vlcache-paper", recompute_ratio=0.2)
    expected = lab.answer(method, *requests)
    graphs = Graphs(Again, Arena(lab.adapter))
    monkeypatch.setattr(lab.adapter, "attention", choose_backend("triton", CPU, torch.float32, 16))
    monkeypatch.setattr(lab, "workspace", Workspace(lab.adapter.kv_shape, graphs))
    found = lab.answer(method, *requests)
    lab.assert_equal(found, expected)
    assert found.token_ids == expected.token_ids
    assert len(graphs) > 0


@hypothesis_settings(max_examples=8)
@example(tokens=600, share=0.1, seed=1, groups=3, head_dim=16, processors=132)
@given(
    tokens=st.sampled_from([1, 2, 63, 64, 65, 200]),
    share=st.sampled_from([0.0, 0.03, 0.1]),
    seed=st.integers(0, 1000),
    groups=st.integers(1, 8),
    head_dim=st.sampled_from([16, 128]),
    processors=st.sampled_from([1, 8, 132]),
)
def test_attention_on_a_fixed_view_equals_the_reference(attention_case: Any, processors: int, **options: Any) -> None:
    case = attention_case(**options)
    beyond = torch.full_like(case.k[:, :1].expand(-1, 300, -1), torch.nan)
    k, v = (torch.cat((x, beyond), dim=1) for x in (case.k, case.v))
    found = TritonAttention(processors).attend(case.q, k, v, LookBack.within(case.view.at, k.shape[1]))
    torch.testing.assert_close(found, Sdpa().attend(case.q, case.k, case.v, case.view), atol=1e-5, rtol=1e-5)


def test_auto_interprets_nothing() -> None:
    assert isinstance(choose_backend("auto", CPU, torch.float32, 64), Sdpa)
