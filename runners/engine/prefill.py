"""Executes a plan, layer by layer, on the tokens it computes."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from runners.engine.adapters.base import Adapter
from runners.engine.attention import attend
from runners.engine.flops import attention_flops, block_flops, kv_flops
from runners.engine.plan import FreshLayer, Plan
from runners.engine.rotary import rotate


@dataclass
class KVBuffer:
    """Keys (after RoPE) and values of one request, each ``(layers, kv_heads, capacity, head_dim)``."""

    k: Tensor
    v: Tensor

    @classmethod
    def allocate(cls, adapter: Adapter, capacity: int) -> KVBuffer:
        """Uninitialised room for ``capacity`` tokens."""
        shape = (adapter.shape.layers, adapter.shape.kv_heads, capacity, adapter.shape.head_dim)
        return cls(*(torch.empty(shape, device=adapter.device, dtype=adapter.dtype) for _ in range(2)))


@dataclass(frozen=True)
class CapturedLayer:
    """Views of what one layer computed, kept for the stores: nothing is copied before the first token is out.

    Attributes:
        tokens: indices of the tokens whose keys and values these are, ``(computed,)``.
        k, v: before RoPE and as is, each ``(kv_heads, computed, head_dim)``.
        q: before RoPE, of the tokens that went on, ``(heads, continued, head_dim)``; None unless probed.
        attended: attention output before its projection, ``(continued, heads * head_dim)``; None unless probed.
        continued: indices of the tokens that went on.
    """

    tokens: Tensor
    k: Tensor
    v: Tensor
    continued: Tensor
    q: Tensor | None = None
    attended: Tensor | None = None


@dataclass
class Capture:
    """Collects layers during a prefill; queries and attention outputs of the first ``probe_layers``."""

    probe_layers: int
    layers: list[CapturedLayer] = field(default_factory=list)


@dataclass(frozen=True)
class PromptTensors:
    """A laid-out prompt on the device.

    Attributes:
        hidden: input embeddings with the media's features in place, ``(tokens, hidden)``.
        cos, sin: rotary angles, each ``(capacity, head_dim)``.
    """

    hidden: Tensor
    cos: Tensor
    sin: Tensor


@dataclass(frozen=True)
class PrefillResult:
    """The last token's final hidden state, ``(1, hidden)`` (empty without ``to_head``), and what was executed.

    Attributes:
        depth: layers in which each token was computed, ``(tokens,)`` on the CPU.
        flops: operations of the layers that ran.
    """

    hidden: Tensor
    depth: Tensor
    flops: float


def prefill(
    adapter: Adapter,
    prompt: PromptTensors,
    kv: KVBuffer,
    plan: Plan,
    capture: Capture | None = None,
    to_head: bool = True,
) -> PrefillResult:
    """Compute the plan's tokens on top of what ``kv`` holds for the others, and write their keys and values there.

    The last token goes through every layer to the head, whatever the plan says, unless ``to_head`` is False.
    """
    shape = adapter.shape
    tokens, layers = len(plan.depth), shape.layers
    depth = plan.depth.clone()
    if to_head:
        depth[-1] = layers + 1
    active = depth.nonzero()[:, 0]
    hidden = prompt.hidden[active.to(prompt.hidden.device)]
    flops = 0.0
    for index in range(layers):
        layer = adapter.layers[index]
        everything = len(active) == tokens
        at = active.to(hidden.device)
        normed, raw_k, v = layer.project_kv(hidden)
        cos, sin = (prompt.cos[:tokens], prompt.sin[:tokens]) if everything else (prompt.cos[at], prompt.sin[at])
        k = rotate(raw_k, cos, sin)
        if plan.refine is not None:
            stale_k, stale_v = kv.k[index][:, at], kv.v[index][:, at]
            kept = plan.refine(FreshLayer(index, active, k, v, stale_k, stale_v))
            if kept is not None:
                depth[active[~kept.cpu()]] = index + 1
        if everything:
            kv.k[index, :, :tokens], kv.v[index, :, :tokens] = k, v
        else:
            kv.k[index].index_copy_(1, at, k)
            kv.v[index].index_copy_(1, at, v)
        flops += kv_flops(shape, len(active))
        going_on = depth[active] > index + 1
        continued = active[going_on]
        if len(continued) < len(active):
            chosen = going_on.nonzero()[:, 0].to(hidden.device)
            hidden, normed, cos, sin = hidden[chosen], normed[chosen], cos[chosen], sin[chosen]
        raw_q = attended = None
        if len(continued):
            raw_q = layer.project_q(normed)
            whole = len(continued) == tokens
            reach = int(continued[-1]) + 1
            attended = attend(
                rotate(raw_q, cos, sin),
                kv.k[index, :, :reach],
                kv.v[index, :, :reach],
                None if whole else continued.to(hidden.device),
            )
            hidden = layer.finish(hidden, attended)
            flops += block_flops(shape, len(continued)) + attention_flops(shape, continued)
        if capture is not None:
            probed = index < capture.probe_layers
            capture.layers.append(
                CapturedLayer(active, raw_k, v, continued, raw_q if probed else None, attended if probed else None)
            )
        active = continued
        if not len(active):
            break
    executed = depth.clamp(max=layers)
    return PrefillResult(hidden[-1:], executed, flops)
