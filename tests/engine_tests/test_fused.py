"""Fused projections: the numbers of the stock modules, in no more memory, and only where a model allows it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from transformers import AutoModelForImageTextToText

from runners.engine.adapters.decoder import DecoderLayer
from runners.engine.adapters.registry import ADAPTERS, build_adapter
from runners.engine.kv.workspace import Workspace
from runners.methods.full_recompute import FullRecompute
from runners.models.checkpoint import load_files

BOTH = ("qkv", "gate_up")
TOLERANCES = {torch.float32: 1e-5, torch.bfloat16: 0.02}  # as a share of the largest number
TIED = 2  # layers that share their modules


@pytest.fixture(scope="module", params=list(ADAPTERS))
def family(request: pytest.FixtureRequest, lab_of: Callable[[str], Any]) -> Any:
    """The laboratory of every family."""
    return lab_of(request.param)


def another(lab: Any, dtype: torch.dtype = torch.float32) -> Any:
    """The laboratory with its model loaded once more, whose adapter is not fused yet."""
    other, parts = copy.copy(lab), load_files("tiny", lab.path, dtype, "cpu", "single")
    other.stock, other.adapter = parts[0], build_adapter(*parts)
    other.workspace = Workspace(other.adapter.kv_shape)
    return other


def fused(lab: Any, dtype: torch.dtype = torch.float32) -> Any:
    """The laboratory with its model loaded once more and fused; the stock forward runs on the same weights."""
    other = another(lab, dtype)
    other.adapter.fuse()
    return other


def allowed(lab: Any) -> tuple[str, ...]:
    """What a family's layers let be fused: those with experts have no one MLP."""
    return BOTH[:1] if lab.family == "qwen3_vl_moe" else BOTH


def held_bytes(module: nn.Module) -> int:
    """Memory behind a model's parameters."""
    storages = [parameter.untyped_storage() for parameter in module.parameters()]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def assert_near(found: Tensor, expected: Tensor) -> None:
    """Equal but for rounding to their format."""
    largest = float(expected.abs().max()) if expected.numel() else 0.0
    torch.testing.assert_close(found, expected, atol=TOLERANCES[found.dtype] * largest, rtol=0)


class Products(TorchFunctionMode):
    """Counts linear layers at work."""

    count = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is nn.functional.linear
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_every_layer_gives_what_the_stock_modules_give(family: Any, dtype: torch.dtype) -> None:
    stock, other = another(family, dtype).adapter, fused(family, dtype).adapter
    assert (stock.fused, other.fused) == ((), allowed(family))
    shape = stock.shape

    @hypothesis_settings(max_examples=5)
    @given(tokens=st.integers(0, 70), seed=st.integers(0, 99))
    def check(tokens: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        hidden, attended = (
            torch.randn(tokens, width, generator=generator).to(dtype)
            for width in (shape.hidden, shape.heads * shape.head_dim)
        )
        with torch.inference_mode():
            for plain, layer in zip(stock.layers, other.layers, strict=True):
                normed, q, k, v = layer.project_qkv(hidden)
                alone, *kv = layer.project_kv(hidden)
                expected, *expected_kv = plain.project_kv(hidden)
                assert torch.equal(normed, expected)
                assert torch.equal(alone, expected)
                expected_q = plain.project_q(expected)
                for found in (q, layer.project_q(normed)):
                    assert_near(found, expected_q)
                for pair in ((k, v), kv):
                    for found, wanted in zip(pair, expected_kv, strict=True):
                        assert_near(found, wanted)
                if tokens:  # experts take no less
                    assert_near(layer.finish(hidden, attended), plain.finish(hidden, attended))

    check()


def test_unfused_all_at_once_is_one_by_one(family: Any) -> None:
    hidden = torch.randn(9, family.adapter.shape.hidden, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        for layer in family.adapter.layers:
            normed, q, k, v = layer.project_qkv(hidden)
            for found, expected in zip((normed, k, v), layer.project_kv(hidden), strict=True):
                assert torch.equal(found, expected)
            assert torch.equal(q, layer.project_q(normed))


def test_fewer_products_are_computed(lab: Any) -> None:
    hidden = torch.zeros(3, lab.adapter.shape.hidden)
    steps: list[Callable[[DecoderLayer], Any]] = [
        lambda layer: layer.project_qkv(hidden),
        lambda layer: layer.project_kv(hidden),
        lambda layer: layer.project_q(hidden),
        lambda layer: layer.finish(hidden, hidden),
    ]
    counts = []
    for layer in (lab.adapter.layers[0], fused(lab).adapter.layers[0]):
        for step in steps:
            with torch.inference_mode(), Products() as products:
                step(layer)
            counts.append(products.count)
    assert counts == [3, 2, 1, 4, 1, 1, 1, 3]


def test_the_engine_on_a_fused_model_equals_the_stock_forward_and_generate(family: Any) -> None:
    other = fused(family)
    for request in (
        family.ask("Just text, no picture."),
        family.ask("Three ", family.picture(2), " and ", family.picture(0, rows=3), " then?"),
    ):
        response = other.answer(FullRecompute(), request)
        family.assert_equal(response, family.stock_logits(request))
        assert list(response.token_ids) == family.stock_tokens(request)


def test_the_stock_forward_of_a_fused_model_is_what_it_was(family: Any) -> None:
    request = family.ask("One: ", family.picture(1), "what is it?")
    assert (fused(family).stock_logits(request) == family.stock_logits(request)).all()


def test_nothing_is_in_memory_twice(family: Any) -> None:
    other = another(family)
    model, adapter = other.stock, other.adapter
    assert held_bytes(model) == adapter.weight_bytes
    adapter.fuse()
    assert held_bytes(model) == adapter.weight_bytes == sum(weight.nbytes for weight in model.parameters())
    for layer in model.model.language_model.layers:
        attention = layer.self_attn
        groups = [[attention.q_proj, attention.k_proj, attention.v_proj]]
        if "gate_up" in adapter.fused:
            groups.append([layer.mlp.gate_proj, layer.mlp.up_proj])
        for modules in groups:
            first, *others = (module.weight for module in modules)
            end = first.data_ptr()
            for weight in (first, *others):
                assert weight.untyped_storage().data_ptr() == first.untyped_storage().data_ptr()
                assert weight.data_ptr() == end
                assert weight.is_contiguous()
                end += weight.nbytes


def test_what_is_saved_stays_the_same(family: Any, tmp_path: Path) -> None:
    other, expected = fused(family), family.stock.state_dict()
    other.stock.save_pretrained(tmp_path)
    again = AutoModelForImageTextToText.from_pretrained(tmp_path)
    for state in (other.stock.state_dict(), again.state_dict()):
        assert list(state) == list(expected)
        assert all(torch.equal(state[name], weight) for name, weight in expected.items())


def test_fusing_twice_changes_nothing(lab: Any) -> None:
    other = fused(lab)
    pointers = [parameter.data_ptr() for parameter in other.stock.parameters()]
    other.adapter.fuse()
    assert other.adapter.fused == BOTH
    assert [parameter.data_ptr() for parameter in other.stock.parameters()] == pointers


class Quantised(nn.Linear):
    """Some other kind of linear layer."""


class Packed(nn.Parameter):
    """Some other kind of parameter."""


def offload(module: Any) -> None:
    hooks = pytest.importorskip("accelerate.hooks", reason="needs accelerate, which comes with the extra 'device-map'")
    hooks.add_hook_to_module(module, hooks.ModelHook())


def other_kind(module: Any) -> None:
    module.__class__ = Quantised


def other_parameters(attention: Any) -> None:
    for module in (attention.q_proj, attention.k_proj, attention.v_proj):
        module.weight, module.bias = Packed(module.weight.data), Packed(module.bias.data)


def part_of_more(module: Any) -> None:
    module.weight.data = torch.cat([module.weight.data, module.weight.data])[: len(module.weight)]


def tied(layer: Any) -> None:
    layer.self_attn.k_proj.weight = layer.self_attn.v_proj.weight


def narrower(layer: Any) -> None:
    layer.self_attn.k_proj = nn.Linear(16, layer.self_attn.k_proj.out_features)


@pytest.mark.parametrize(
    ("spoil", "left"),
    [
        (lambda layer: layer.self_attn.k_proj.register_forward_hook(print), "qkv"),
        (lambda layer: layer.self_attn.q_proj.register_forward_pre_hook(print), "qkv"),
        (lambda layer: offload(layer.self_attn.v_proj), "qkv"),
        (lambda layer: other_kind(layer.self_attn.q_proj), "qkv"),
        (lambda layer: other_parameters(layer.self_attn), "qkv"),
        (lambda layer: part_of_more(layer.self_attn.k_proj), "qkv"),
        (lambda layer: layer.self_attn.v_proj.to(torch.bfloat16), "qkv"),
        (lambda layer: layer.self_attn.v_proj.to("meta"), "qkv"),
        (lambda layer: layer.self_attn.to("meta"), "qkv"),
        (lambda layer: setattr(layer.self_attn.v_proj, "bias", None), "qkv"),
        (tied, "qkv"),
        (narrower, "qkv"),
        (lambda layer: other_kind(layer.mlp.up_proj), "gate_up"),
        (lambda layer: offload(layer.mlp.gate_proj), "gate_up"),
        (lambda layer: layer.mlp.register_forward_hook(print), "gate_up"),
        (lambda layer: offload(layer.mlp), "gate_up"),
        (lambda layer: setattr(layer.mlp, "dropout", nn.Dropout()), "gate_up"),
        (lambda layer: delattr(layer.mlp, "gate_proj"), "gate_up"),
        (lambda layer: setattr(layer, "mlp", nn.Linear(2, 2)), "gate_up"),
    ],
)
def test_a_part_that_cannot_be_fused_is_left_alone(lab: Any, spoil: Callable[[Any], Any], left: str) -> None:
    other = another(lab)
    layer = other.stock.model.language_model.layers[1]
    spoil(layer)
    other.adapter.layers[1] = changed = DecoderLayer(layer, other.adapter.shape)
    part = layer.self_attn if left == "qkv" else layer.mlp
    pointers = [parameter.data_ptr() for parameter in part.parameters()]
    other.adapter.fuse()
    assert changed.fused == tuple(name for name in BOTH if name != left)
    assert other.adapter.fused == changed.fused
    assert other.adapter.layers[0].fused == BOTH
    assert [parameter.data_ptr() for parameter in part.parameters()] == pointers


def test_layers_that_share_their_modules_share_their_memory_still(lab: Any) -> None:
    other = another(lab)
    layer = other.stock.model.language_model.layers[0]
    before = held_bytes(layer)
    layers = [DecoderLayer(layer, other.adapter.shape) for _ in range(TIED)]
    for each in layers:
        each.fuse()
    assert [each.fused for each in layers] == [BOTH, ()]
    assert held_bytes(layer) == before
    hidden = torch.randn(5, lab.adapter.shape.hidden, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        for found, expected in zip(*(each.project_qkv(hidden) for each in layers), strict=True):
            assert_near(found, expected)


def test_the_manifest_says_what_is_fused(lab: Any) -> None:
    assert lab.model.describe()["fused"] == []
    assert replace(lab.model, adapter=fused(lab).adapter).describe()["fused"] == list(BOTH)
