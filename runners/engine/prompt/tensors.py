"""A laid-out prompt as tensors on the device."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class PromptTensors:
    """A laid-out prompt on the device.

    Attributes:
        hidden: input embeddings with the media's features in place, ``(tokens, hidden)``.
        cos, sin: rotary angles, each ``(capacity, head_dim)``.
        deepstack: features added to the hidden states after each of the first layers, ``(deepstack, tokens, hidden)``,
            0 for text; None for families that add nothing.
    """

    hidden: Tensor
    cos: Tensor
    sin: Tensor
    deepstack: Tensor | None = None
