"""Sketches: random projections of attention outputs that keep the distances between them.

A random projection to 64 numbers keeps a distance within about 9 % (Johnson and Lindenstrauss, 1984; Gaussian
entries as in Dasgupta and Gupta, 2003). It is folded into the layer's output projection, so a sketch costs less than
the output itself, in the store and in operations.
"""

from __future__ import annotations

import torch
from torch import Tensor

from runners.engine.adapters.base import Adapter
from runners.engine.parallel import sum_over_ranks

WIDTH = 64


class OutputSketch:
    """Sketches of one model's attention outputs. A layer's matrix is made when it is first used."""

    def __init__(self, adapter: Adapter, width: int = WIDTH) -> None:
        self._adapter = adapter
        self.width = min(width, adapter.shape.hidden)
        self._folded: dict[int, Tensor] = {}

    def __call__(self, layer: int, attended: Tensor) -> Tensor:
        """Sketch outputs before their projection, ``(tokens, heads * head_dim)``, as ``(tokens, width)``.

        Sketches are sums over heads: that of the whole output is the sum over all processes, and whole in all of them.
        """
        if layer not in self._folded:
            self._folded[layer] = self._fold(layer)
        return sum_over_ranks(attended @ self._folded[layer])

    def _fold(self, layer: int) -> Tensor:
        """Multiply output and random projection, ``(heads * head_dim, width)``; a bias would cancel out."""
        shape, device, dtype = self._adapter.shape, self._adapter.device, self._adapter.dtype
        every = torch.eye(shape.own_heads * shape.head_dim, device=device, dtype=dtype)
        nothing = torch.zeros_like(every[:1])
        project = self._adapter.layers[layer].project_output
        weights = (project(every) - project(nothing)).float()
        if self.width == shape.hidden:
            return weights.to(dtype)
        noise = torch.randn(shape.hidden, self.width, generator=torch.Generator().manual_seed(layer))
        folded: Tensor = (weights @ (noise.to(device) / self.width**0.5)).to(dtype)
        return folded
