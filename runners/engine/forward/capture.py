"""Keeping what a prefill computes: keys and values for the stores, queries and attention outputs for probes."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class CapturedLayer:
    """Views of what one layer computed: nothing is copied before the first token is out.

    Attributes:
        tokens: indices of the tokens whose keys and values these are, ``(computed,)``.
        k, v: before RoPE and as is, each ``(kv_heads, computed, head_dim)``.
        continued: indices of the tokens that went on, ``(continued,)``.
        q: before RoPE, of the tokens that went on, ``(heads, continued, head_dim)``; None unless probed.
        attended: attention output before its projection, ``(continued, heads * head_dim)``; None unless probed.
    """

    tokens: Tensor
    k: Tensor
    v: Tensor
    continued: Tensor
    q: Tensor | None = None
    attended: Tensor | None = None


@dataclass
class Capture:
    """Collects what the layers of a prefill compute; of ``probe_layers`` also queries and attention outputs."""

    probe_layers: tuple[int, ...]
    layers: list[CapturedLayer] = field(default_factory=list)
