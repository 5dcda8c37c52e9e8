"""Attention of some tokens is the same by every backend: the rows that attention of all tokens would have."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.attention.flex_attention import flex_attention

from runners.engine.attention import capability
from runners.engine.attention.backends import BACKENDS, choose_backend, obstacles
from runners.engine.attention.base import Attention
from runners.engine.attention.flash import Flash, Runs
from runners.engine.attention.flex import BLOCK, Flex, block_mask
from runners.engine.attention.sdpa import Sdpa
from runners.engine.attention.triton_attention import Tiles, TritonAttention
from runners.engine.attention.view import LookBack
from runners.engine.kv.buffer import KVBuffer
from runners.methods.full_recompute import FullRecompute
from workloads.errors import UsageError

BFLOAT16 = 0.02  # of outputs of order 1: a few roundings to 8 bits
CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)

pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")

CASES = {
    "tokens": st.integers(1, 300),
    "share": st.sampled_from([None, 0.0, 0.05, 0.5, 1.0]),
    "seed": st.integers(0, 1000),
    "groups": st.integers(1, 8),
    "kv_heads": st.integers(1, 3),
    "head_dim": st.sampled_from([16, 40, 64]),
    "clustered": st.booleans(),
}


def softmax_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The formula, for queries and keys of the same tokens; all of one head count."""
    scores = q @ k.transpose(1, 2) / q.shape[2] ** 0.5
    scores = scores.masked_fill(torch.ones(scores.shape[1:]).triu(1).bool(), -torch.inf)
    attended: Tensor = scores.softmax(-1) @ v
    return attended


def stand_in_for_flash_attn_func(
    q: Tensor, k: Tensor, v: Tensor, dropout_p: float = 0.0, softmax_scale: float | None = None, causal: bool = False
) -> Tensor:
    """No flash-attn: what its function of this name computes for what we ask of it, in plain torch."""
    assert causal
    assert dropout_p == 0.0
    assert softmax_scale is None
    assert q.shape[:2] == k.shape[:2] == v.shape[:2]
    assert all(x.stride(-1) == 1 for x in (q, k, v))
    groups = q.shape[2] // k.shape[2]
    heads = [x.repeat_interleave(groups, 2) if groups > 1 else x for x in (k, v)]
    keys, values = (x[0].transpose(0, 1) for x in heads)
    return softmax_attention(q[0].transpose(0, 1), keys, values).transpose(0, 1)[None]


def stand_in_for_flash_attn_varlen_func(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    dropout_p: float = 0.0,
    softmax_scale: float | None = None,
    causal: bool = False,
    *,
    block_table: Tensor,
) -> Tensor:
    """No flash-attn: what its function of this name computes and demands of a paged layout, in plain torch.

    Causal masks are lined up with the last query and the last key.
    """
    assert causal
    assert dropout_p == 0.0
    assert softmax_scale is None
    sequences = len(cu_seqlens_q) - 1
    assert (len(cu_seqlens_k) - 1, len(block_table)) == (sequences, sequences)
    assert all(x.dtype == torch.int32 and x.is_contiguous() for x in (cu_seqlens_q, cu_seqlens_k, block_table))
    assert k.shape == v.shape
    assert k.shape[1] % 256 == 0
    assert all(x.stride(-1) == 1 for x in (q, k, v))
    queries, keys = cu_seqlens_q.diff().tolist(), cu_seqlens_k.diff().tolist()
    assert (max(queries), max(keys)) == (max_seqlen_q, max_seqlen_k)
    assert int(cu_seqlens_q[-1]) == len(q)
    groups = q.shape[1] // k.shape[2]
    found = []
    for number, rows in enumerate(q.split(queries)):
        pages = block_table[number].long()
        seen_k, seen_v = (
            x[pages].flatten(0, 1)[: keys[number]].repeat_interleave(groups, 1).transpose(0, 1) for x in (k, v)
        )
        before = torch.zeros(q.shape[1], keys[number] - queries[number], q.shape[2])
        lined_up = torch.cat((before, rows.transpose(0, 1)), dim=1)
        found.append(softmax_attention(lined_up, seen_k, seen_v)[:, len(before[0]) :].transpose(0, 1))
    return torch.cat(found)


BY_STAND_INS: dict[str, Callable[[], Attention]] = {
    "flash": lambda: Flash(stand_in_for_flash_attn_func, stand_in_for_flash_attn_varlen_func),
    "flex": lambda: Flex(flex_attention),
}
"""Backends that need a GPU, with what stands in on a CPU for the kernel they call: all but the kernel is theirs."""


@hypothesis_settings(max_examples=60)
@given(**CASES)
def test_the_reference_gives_the_rows_of_plain_softmax_attention(attention_case: Any, **options: Any) -> None:
    case = attention_case(**options)
    groups, tokens = options["groups"], case.k.shape[1] - 3
    k, v = (x[:, :tokens].nan_to_num().repeat_interleave(groups, 0) for x in (case.k, case.v))
    at = torch.arange(tokens) if case.view is None else case.view.at
    q = torch.zeros(k.shape).index_copy_(1, at, case.q)
    expected = softmax_attention(q, k, v)[:, at].transpose(0, 1).flatten(1)
    torch.testing.assert_close(Sdpa().attend(case.q, case.k, case.v, case.view), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", BY_STAND_INS)
@hypothesis_settings(max_examples=40)
@given(**CASES)
def test_a_backend_equals_the_reference(attention_case: Any, name: str, **options: Any) -> None:
    case = attention_case(**options)
    found = BY_STAND_INS[name]().attend(case.q, case.k, case.v, case.view)
    expected = Sdpa().attend(case.q, case.k, case.v, case.view)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("share", [None, 0.0, 0.3])
def test_half_precision_is_near_float32(attention_case: Any, share: float | None) -> None:
    case = attention_case(200, share, 1).to(torch.bfloat16)
    exact = case.to(torch.float32)
    expected = Sdpa().attend(exact.q, exact.k, exact.v, exact.view)
    found = Sdpa().attend(case.q, case.k, case.v, case.view)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, atol=BFLOAT16, rtol=BFLOAT16)


@pytest.mark.parametrize("name", BY_STAND_INS)
def test_the_engine_answers_alike_with_every_backend(lab: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = lab.picture(0), lab.picture(1)
    requests = [lab.ask("x ", a), lab.ask(b, "y", a), lab.ask("z ", a, "and", b, max_new_tokens=6)]
    for method in (FullRecompute(), lab.method("vlcache", recompute_ratio=0.3)):
        expected = lab.answer(method, *requests)
        with monkeypatch.context() as patch:
            patch.setattr(lab.adapter, "attention", BY_STAND_INS[name]())
            found = lab.answer(method, *requests)
        lab.assert_equal(found, expected)
        assert found.token_ids == expected.token_ids


class Spy(Sdpa):
    """The reference, which remembers ``(heads, queries)`` of what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def attend(self, q: Tensor, k: Tensor, v: Tensor, view: LookBack | None) -> Tensor:
        self.asked.append((q.shape[0], q.shape[1]))
        return super().attend(q, k, v, view)


def test_prefill_decoding_and_the_drift_probe_use_the_backend_of_the_model(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy, shape = Spy(), lab.adapter.shape
    monkeypatch.setattr(lab.adapter, "attention", spy)
    a, b = lab.picture(0), lab.picture(1)
    first = lab.answer(FullRecompute(), lab.ask("x ", a, max_new_tokens=3))
    tokens = first.cache.prompt_tokens
    prefilled = [(shape.heads, tokens)] * (shape.layers - 1) + [(shape.heads, 1)]
    assert spy.asked == prefilled + [(shape.heads, 1)] * shape.layers * (len(first.token_ids) - 1)
    engine = lab.engine(lab.method("vlcache", recompute_ratio=0.3))
    engine.answer(lab.ask("x ", a, b))
    spy.asked.clear()
    engine.answer(lab.ask("y ", b, "and", a))
    assert any(heads > shape.heads for heads, _ in spy.asked)


def test_a_view_derives_only_once() -> None:
    view = LookBack.of(torch.tensor([2, 5, 6]))
    assert view.reach == 7
    assert view.once("a", lambda: [1]) is view.once("a", lambda: [2])
    assert view.once("b", lambda: [2]) == [2]


def test_runs_of_neighbours_share_one_page() -> None:
    runs = Runs.of(LookBack.of(torch.tensor([0, 1, 2, 7, 9, 10])))
    assert runs.cu_seqlens_q.tolist() == [0, 3, 4, 6]
    assert runs.cu_seqlens_k.tolist() == [0, 3, 11, 22]
    assert (runs.max_seqlen_q, runs.max_seqlen_k) == (3, 11)
    assert runs.block_table.tolist() == [[0], [0], [0]]


def test_room_comes_in_whole_pages(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert KVBuffer.allocate(lab.adapter.kv_shape, 257).k.shape[2] == 257
    monkeypatch.setattr(lab.adapter, "attention", BY_STAND_INS["flash"]())
    assert KVBuffer.allocate(lab.adapter.kv_shape, 257).k.shape[2] == 512


@hypothesis_settings(max_examples=40)
@given(tokens=st.integers(1, 900), share=st.sampled_from([0.0, 0.1, 1.0]), seed=st.integers(0, 1000))
def test_blocks_are_seen_in_full_in_part_or_not_at_all(
    attention_case: Any, tokens: int, share: float, seed: int
) -> None:
    view = attention_case(tokens, share, seed, clustered=seed % 3 == 0).view
    mask: Any = block_mask(view)
    key, at = torch.arange(view.reach), view.at[:, None]
    seen = torch.zeros(len(view.at), view.reach, dtype=torch.bool)
    for row in range(mask.kv_num_blocks.shape[2]):
        queries = slice(row * BLOCK, (row + 1) * BLOCK)
        in_part = mask.kv_indices[0, 0, row, : int(mask.kv_num_blocks[0, 0, row])]
        in_full = mask.full_kv_indices[0, 0, row, : int(mask.full_kv_num_blocks[0, 0, row])]
        for column in in_part.tolist():
            keys = slice(column * BLOCK, (column + 1) * BLOCK)
            seen[queries, keys] = key[keys] <= at[queries]
        for column in in_full.tolist():
            seen[queries, column * BLOCK : (column + 1) * BLOCK] = True
    assert torch.equal(seen, key <= at)


@given(
    rows=st.integers(1, 3000),
    kv_heads=st.integers(1, 64),
    reach=st.integers(1, 20_000),
    head_dim=st.sampled_from([16, 80, 128, 256]),
    half=st.booleans(),
    processors=st.integers(1, 132),
)
def test_splits_cover_all_keys_and_none_is_empty(
    rows: int, kv_heads: int, reach: int, head_dim: int, half: bool, processors: int
) -> None:
    tiles = Tiles.of(rows, kv_heads, reach, head_dim, half, processors)
    assert (tiles.splits - 1) * tiles.keys_per_split < reach <= tiles.splits * tiles.keys_per_split
    assert tiles.keys_per_split % tiles.keys == 0
    assert tiles.dims >= head_dim


class TestChoice:
    """What ``auto`` gives, and what is said where something asked for cannot be had."""

    @pytest.fixture
    def gpu(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
        """Pretends that there is a GPU of some compute capability, and that some packages are installed."""

        def pretend(*installed: str, capability_of_gpu: tuple[int, int] = (9, 0)) -> None:
            monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability_of_gpu)
            monkeypatch.setattr(capability, "find_spec", {name: ModuleType(name) for name in installed}.get)
            flash_attn = ModuleType("flash_attn")
            flash_attn.__dict__.update(flash_attn_func=min, flash_attn_varlen_func=max)
            monkeypatch.setitem(sys.modules, "flash_attn", flash_attn)

        return pretend

    def test_on_a_cpu_it_is_sdpa(self) -> None:
        assert isinstance(choose_backend("auto", CPU, torch.float32, 64), Sdpa)
        assert obstacles(CPU)["sdpa"] is None

    @pytest.mark.parametrize("name", [name for name in BACKENDS if name != "sdpa"])
    def test_what_cannot_run_is_refused_and_nothing_stands_in(self, name: str) -> None:
        with pytest.raises(UsageError) as caught:
            choose_backend(name, CPU, torch.float32)
        assert str(caught.value) == (
            f"attention backend '{name}' cannot be used: it needs a CUDA device; choose another --attn"
        )

    def test_on_a_gpu_it_is_the_first_that_can_run(self, gpu: Callable[..., None]) -> None:
        gpu("triton", "flash_attn")
        assert isinstance(choose_backend("auto", CUDA, torch.bfloat16, 128), TritonAttention)
        gpu("flash_attn")
        assert isinstance(choose_backend("auto", CUDA, torch.bfloat16, 128), Flash)
        assert isinstance(choose_backend("auto", CUDA, torch.float32, 128), Sdpa)
        gpu()
        assert isinstance(choose_backend("auto", CUDA, torch.bfloat16, 128), Sdpa)
        gpu("triton")
        assert isinstance(choose_backend("auto", CUDA, torch.bfloat16, 72), Sdpa)

    @pytest.mark.parametrize(
        ("name", "installed", "dtype", "head_dim", "capability_of_gpu", "missing"),
        [
            ("flash", (), torch.bfloat16, 128, (9, 0), "flash-attn is not installed: pip install 'vlcache[cuda]'"),
            (
                "flash",
                ("flash_attn",),
                torch.float32,
                None,
                (9, 0),
                "it computes in bfloat16 or float16, not in",
            ),
            ("flash", ("flash_attn",), torch.float16, 288, (9, 0), "its heads are at most 256 wide, and those of the"),
            ("triton", (), torch.float32, 128, (9, 0), "triton is not installed: pip install triton"),
            ("triton", ("triton",), torch.float32, 72, (9, 0), "its heads are multiples of 16 wide and at most 256"),
            ("triton", ("triton",), torch.float64, 64, (9, 0), "it takes float32, bfloat16 and float16, not float64"),
            (
                "triton",
                ("triton",),
                torch.float32,
                64,
                (7, 5),
                "it needs a GPU of compute capability 8.0 or newer",
            ),
            ("flex", (), torch.float32, 64, (9, 0), "triton is not installed: pip install triton"),
            ("flex", ("triton",), torch.float32, 8, (9, 0), "its heads are at least 16 wide, and those of the model 8"),
        ],
    )
    def test_what_is_missing_is_named(
        self,
        gpu: Callable[..., None],
        name: str,
        installed: tuple[str, ...],
        dtype: torch.dtype,
        head_dim: int | None,
        capability_of_gpu: tuple[int, int],
        missing: str,
    ) -> None:
        gpu(*installed, capability_of_gpu=capability_of_gpu)
        with pytest.raises(UsageError) as caught:
            choose_backend(name, CUDA, dtype, head_dim)
        assert str(caught.value).startswith(f"attention backend '{name}' cannot be used: {missing}")

    def test_an_unknown_name_is_one_line(self) -> None:
        with pytest.raises(UsageError, match=r"^unknown attention backend 'flahs': did you mean 'flash'\?$"):
            choose_backend("flahs", CPU, torch.float32)
