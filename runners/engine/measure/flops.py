"""Floating point operations of what is executed, counted the same way for every method."""

from __future__ import annotations

import torch
from torch import Tensor

from runners.engine.shapes import TextShape


def kv_flops(shape: TextShape, tokens: int) -> float:
    """Projecting keys and values of ``tokens`` tokens in one layer."""
    return 4.0 * tokens * shape.hidden * shape.kv_heads * shape.head_dim


def block_flops(shape: TextShape, tokens: int) -> float:
    """Query and output projection and MLP of ``tokens`` tokens in one layer."""
    return tokens * (4.0 * shape.hidden * shape.heads * shape.head_dim + 6.0 * shape.hidden * shape.intermediate)


def attention_flops(shape: TextShape, pairs: float) -> float:
    """Attention in one layer over so many pairs of a query and a key."""
    return 4.0 * shape.heads * shape.head_dim * pairs


def head_flops(shape: TextShape) -> float:
    """The output head for one token."""
    return 2.0 * shape.hidden * shape.vocabulary


def prefill_flops(shape: TextShape, tokens: Tensor) -> float:
    """A prefill of the tokens with these indices, with early exit from the last layer for all but the last.

    Args:
        tokens: ascending, at least one; each attends to all up to its own.
    """
    count = len(tokens)
    inner = block_flops(shape, count) + attention_flops(shape, float((tokens + 1).sum()))
    last = block_flops(shape, 1) + attention_flops(shape, int(tokens[-1]) + 1)
    return shape.layers * kv_flops(shape, count) + (shape.layers - 1) * inner + last


def full_prefill_flops(shape: TextShape, tokens: int) -> float:
    """A prefill that computes everything, and the output head for its last token."""
    return prefill_flops(shape, torch.arange(tokens)) + head_flops(shape)
