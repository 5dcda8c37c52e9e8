"""Sizes of a language model, of its keys and values, and of a medium."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from workloads.records import MediaKind


@dataclass(frozen=True)
class TextShape:
    """Sizes of the language model.

    Attributes:
        intermediate: width of the MLP a token goes through; of all its experts together where there are several.
        rope_axes: 3 for M-RoPE and 1 for plain positions.
        deepstack: after how many of the first layers features are added to the hidden states of vision tokens
            (DeepStack, arXiv 2406.04334).
        experts: of how many a token goes through in a layer with experts; 0 where there are none.
        parts: processes that the heads, and each MLP, are divided among; all other sizes are of the whole model.
    """

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    context: int
    rope_axes: int
    deepstack: int = 0
    experts: int = 0
    parts: int = 1

    @property
    def own_heads(self) -> int:
        """Heads of this process."""
        return self.heads // self.parts

    @property
    def own_kv_heads(self) -> int:
        """Heads of keys and values of this process."""
        return self.kv_heads // self.parts


@dataclass(frozen=True)
class KVShape:
    """All that the memory for a model's keys and values depends on, besides the number of tokens.

    Attributes:
        kv_heads: of this process.
        page: the number of tokens is rounded up to a multiple of this, as the attention backend asks for it.
        device, dtype: of the model.
    """

    layers: int
    kv_heads: int
    head_dim: int
    page: int
    device: torch.device
    dtype: torch.dtype

    def sizes(self, capacity: int) -> tuple[int, int, int, int]:
        """Sizes of the keys, and of the values, of ``capacity`` tokens: ``(layers, kv_heads, capacity, head_dim)``."""
        return self.layers, self.kv_heads, capacity, self.head_dim


@dataclass(frozen=True)
class MediaGrid:
    """The resolved size of a medium: all that its tokens and positions depend on.

    Attributes:
        time, height, width: in patches, or in whatever unit its adapter says.
        seconds_per_step: between time steps.
        timestamps: seconds of every time step, for families whose prompts name them.
    """

    kind: MediaKind
    time: int
    height: int
    width: int
    seconds_per_step: float = 1.0
    timestamps: tuple[float, ...] = ()
