"""Floating point operations of what is executed, counted the same way for every method."""

from __future__ import annotations

import torch
from torch import Tensor

from runners.engine.adapters.base import TextShape


def kv_flops(shape: TextShape, tokens: int) -> float:
    """Projecting keys and values of ``tokens`` tokens in one layer."""
    return 4.0 * tokens * shape.hidden * shape.kv_heads * shape.head_dim


def block_flops(shape: TextShape, tokens: int) -> float:
    """Query and output projection and MLP of ``tokens`` tokens in one layer."""
    return tokens * (4.0 * shape.hidden * shape.heads * shape.head_dim + 6.0 * shape.hidden * shape.intermediate)


def attention_flops(shape: TextShape, queries: Tensor) -> float:
    """Causal attention in one layer of the tokens with these indices, each seeing all up to itself."""
    return 4.0 * shape.heads * shape.head_dim * float((queries + 1).sum())


def head_flops(shape: TextShape) -> float:
    """The output head for one token."""
    return 2.0 * shape.hidden * shape.vocabulary


def full_prefill_flops(shape: TextShape, tokens: int) -> float:
    """A prefill that computes all, with the last layer's skip for all tokens but the last."""
    last = torch.tensor([tokens - 1])
    every = kv_flops(shape, tokens) * shape.layers
    inner = block_flops(shape, tokens) + attention_flops(shape, torch.arange(tokens))
    return every + (shape.layers - 1) * inner + block_flops(shape, 1) + attention_flops(shape, last) + head_flops(shape)
