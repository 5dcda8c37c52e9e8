"""Sketches keep the distances of projected attention outputs."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from runners.engine.kv.sketch import WIDTH, OutputSketch


def _outputs(lab: Any, seed: int) -> torch.Tensor:
    width = lab.adapter.shape.heads * lab.adapter.shape.head_dim
    return torch.randn(200, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("layer", [0, 3])
def test_a_sketch_of_full_width_is_the_projected_output(lab: Any, layer: int) -> None:
    sketch = OutputSketch(lab.adapter, width=10_000)
    one, other = _outputs(lab, 0), _outputs(lab, 1)
    project = lab.adapter.layers[layer].project_output
    with torch.inference_mode():
        expected = project(one) - project(other)
        torch.testing.assert_close(sketch(layer, one) - sketch(layer, other), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("layer", [0, 3])
def test_a_narrow_sketch_keeps_distances_as_closely_as_it_says(lab: Any, layer: int) -> None:
    sketch = OutputSketch(lab.adapter)
    one, other = _outputs(lab, 0), _outputs(lab, 1)
    project = lab.adapter.layers[layer].project_output
    with torch.inference_mode():
        kept = (sketch(layer, one) - sketch(layer, other)).norm(dim=-1)
        ratio = kept / (project(one) - project(other)).norm(dim=-1)
    assert sketch(layer, one).shape == (200, WIDTH)
    assert abs(float(ratio.mean()) - 1) < 0.04
    assert float(ratio.std()) < 0.12


def test_two_engines_sketch_alike(lab: Any) -> None:
    outputs = _outputs(lab, 0)
    assert torch.equal(OutputSketch(lab.adapter)(1, outputs), OutputSketch(lab.adapter)(1, outputs))
