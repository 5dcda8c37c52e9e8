"""Random weights: seeded, of the usual size, and with the buffers that a model computes itself."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModelForImageTextToText
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from runners.models.shapes.assembly import outline
from runners.models.shapes.catalogue import Shape
from runners.models.shapes.weights import BLOCK, _repeat, fill

CPU = torch.device("cpu")
REST = 2**16  # numbers, for the buffers that a model computes itself


def filled(shape: Shape, seed: int = 0, dtype: torch.dtype = torch.bfloat16) -> Any:
    model = outline(shape, dtype)
    fill(model, CPU, seed)
    return model


def test_buffers_are_those_of_a_model_built_the_usual_way(shape: Shape) -> None:
    usual = AutoModelForImageTextToText.from_config(CONFIG_MAPPING[shape.family.name](**shape.config))
    expected, found = dict(usual.named_buffers()), dict(filled(shape, dtype=torch.float32).named_buffers())
    assert found.keys() == expected.keys()
    for name, buffer in found.items():
        assert torch.equal(buffer, expected[name])
        assert buffer.dtype == expected[name].dtype


def test_weights_are_seeded(shape: Shape) -> None:
    first, again, other = (dict(filled(shape, seed).named_parameters()) for seed in (0, 0, 1))
    assert all(torch.equal(weight, again[name]) for name, weight in first.items())
    assert not any(torch.equal(weight, other[name]) for name, weight in first.items() if weight.dim() > 1)


def test_matrices_are_random_norms_and_biases_do_nothing(shape: Shape) -> None:
    weights = dict(filled(shape).named_parameters())
    matrices = [weight.float() for weight in weights.values() if weight.dim() > 1 and weight.numel() > 1000]
    for matrix in matrices:
        assert matrix.std().item() == pytest.approx(0.02, rel=0.15)
        assert abs(matrix.mean().item()) < 0.003
    assert not any(torch.equal(a, b) for a, b in pairwise(matrices) if a.shape == b.shape)
    for name, weight in weights.items():
        if weight.dim() == 1:
            assert (weight == (0 if name.endswith("bias") else 1)).all()
    assert not any(weight.requires_grad for weight in weights.values())


def test_tied_embeddings_stay_tied(shape: Shape) -> None:
    model = filled(shape)
    embeddings, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    assert (embeddings.data_ptr() == head.data_ptr()) == model.config.tie_word_embeddings


@given(numbers=st.integers(0, 70), size=st.integers(1, 13))
def test_a_block_is_repeated_to_the_end(numbers: int, size: int) -> None:
    written, block = torch.full((numbers,), -1.0), torch.arange(float(size))
    _repeat(written, block)
    assert written.tolist() == [float(place % size) for place in range(numbers)]


class Crossings(TorchDispatchMode):
    """Counts the numbers that are copied between the host and another device, and what the other one writes."""

    copied = 0
    written = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            devices = {item.device for item in (*args, result) if isinstance(item, Tensor)}
            if len(devices) > 1:
                self.copied += result.numel()
            elif result.device.type == "meta" and func.overloadpacket.__name__ in ("copy_", "fill_"):
                self.written += result.numel()
        return result


def test_weights_are_made_on_the_device(shape: Shape) -> None:
    """The meta device stands for one beside the host: what is copied there is one block, whatever the model's size."""
    model = outline(shape, torch.bfloat16)
    numbers = sum(parameter.numel() for parameter in model.parameters())
    with Crossings() as crossings:  # type: ignore[no-untyped-call]
        fill(model, torch.device("meta"), 0)
    assert BLOCK <= crossings.copied <= BLOCK + REST
    assert crossings.written >= numbers
