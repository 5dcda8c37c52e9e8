"""Rotary position embedding applied to stored keys: a medium that moved is rotated anew from its pre-RoPE keys."""

from __future__ import annotations

import torch
from torch import Tensor


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate ``x``, ``(..., tokens, head_dim)``, by the angles in ``cos`` and ``sin``, each ``(tokens, head_dim)``.

    The half-split form of RoFormer (arXiv 2104.09864) used by the Llama and Qwen families.
    """
    half = x.shape[-1] // 2
    swapped = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    return x * cos + swapped * sin


def rotate_into(out: Tensor, x: Tensor, cos: Tensor, sin: Tensor) -> None:
    """Rotate into ``out``: equals ``out[:] = rotate(x, cos, sin)`` to the last bit, with less temporary memory.

    Only float32 takes the path without temporaries: for narrower numbers torch's strided additions are slow.
    """
    if x.dtype != torch.float32:
        out.copy_(rotate(x, cos, sin))
        return
    half = x.shape[-1] // 2
    torch.mul(x, cos, out=out)
    out[..., :half].sub_(x[..., half:] * sin[..., :half])
    out[..., half:].add_(x[..., :half] * sin[..., half:])
