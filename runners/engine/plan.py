"""Which token is computed in which layer: the one type every method returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class FreshLayer:
    """What an adaptive method sees in a layer, right after the keys and values of the computed tokens.

    Attributes:
        layer: index of the layer.
        tokens: indices of the tokens computed in it, ascending, ``(computed,)``.
        hidden, normed: their hidden states before the layer, as they are and normed, each ``(computed, hidden)``.
        k, v: their fresh values, k after RoPE, each ``(kv_heads, computed, head_dim)``; what stands in them when
            ``refine`` returns is what the layer's attention sees.
        stale_k, stale_v: what stood there before, same shapes; meaningful for reusable tokens only.
    """

    layer: int
    tokens: Tensor
    hidden: Tensor
    normed: Tensor
    k: Tensor
    v: Tensor
    stale_k: Tensor
    stale_v: Tensor


Refine = Callable[[FreshLayer], Tensor | None]


@dataclass(frozen=True)
class Plan:
    """For every token the number of layers in which it is computed; in deeper layers it is reused.

    A token computed in some layer needs its hidden state from the layer before, so the computed sets are nested:
    that is why a depth says it all. In the last layer of its depth only a token's keys and values are
    projected. The text, and media without stored keys and values, are computed in all layers.

    Attributes:
        depth: ``(tokens,)`` int64 on the CPU, 0..layers.
        refine: called in every layer for methods that look at fresh keys and values; returns which of the computed
            tokens go on to the next layer, ``(computed,)`` bool, or None for all planned. It can only shrink.
    """

    depth: Tensor
    refine: Refine | None = None

    def __post_init__(self) -> None:
        if self.depth.dtype != torch.int64 or self.depth.dim() != 1:
            raise ValueError("a plan's depth is a vector of int64")
