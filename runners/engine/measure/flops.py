"""Floating point operations of what is executed, counted the same way for every method."""

from __future__ import annotations

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


def full_prefill_flops(shape: TextShape, tokens: int) -> float:
    """A prefill that computes everything, with early exit from the last layer for all tokens but the last."""
    every = kv_flops(shape, tokens) * shape.layers
    inner = block_flops(shape, tokens) + attention_flops(shape, tokens * (tokens + 1) / 2)
    return (
        every + (shape.layers - 1) * inner + block_flops(shape, 1) + attention_flops(shape, tokens) + head_flops(shape)
    )
