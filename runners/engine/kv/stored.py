"""Stored keys and values of one medium, ready to be written into the KV cache of a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class StoredKV:
    """Keys and values of one medium, or of its part after an exact prefix, and where they go.

    Attributes:
        start: index of the first token in the prompt.
        k, v: before RoPE and as is, each ``(layers, kv_heads, tokens, head_dim)``.
        cos, sin: rotary angles of the tokens' positions in the prompt, each ``(tokens, head_dim)``.
    """

    start: int
    k: Tensor
    v: Tensor
    cos: Tensor
    sin: Tensor

    @property
    def end(self) -> int:
        """Index after the last token."""
        return self.start + self.k.shape[2]

    def require_readable(self, k: Tensor, v: Tensor) -> None:
        """ValueError unless it fits the KV cache ``k``, ``v`` and lies in memory as the Triton kernel reads it."""
        layers, kv_heads, capacity, head_dim = k.shape
        tokens = self.end - self.start
        tensors = (self.k, self.v, self.cos, self.sin)
        shapes = ((layers, kv_heads, tokens, head_dim),) * 2 + ((tokens, head_dim),) * 2
        if tuple(tuple(tensor.shape) for tensor in tensors) != shapes or not 0 <= self.start <= self.end <= capacity:
            raise ValueError("a stored medium does not fit the prompt's keys and values")
        if any(tensor.dtype != k.dtype or tensor.device != k.device for tensor in (*tensors, v)):
            raise ValueError("a stored medium and the prompt's keys and values differ in dtype or device")
        if any(tensor.stride()[-2:] != (head_dim, 1) for tensor in (*tensors, k, v)):
            raise ValueError("stored tokens, and the numbers of each, are to lie one after the other")


Place = Callable[[int, int], None]
"""Writes the layers from one index up to, but without, another into the KV cache."""
