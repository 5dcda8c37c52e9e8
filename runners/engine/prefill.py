"""Executes a plan, layer by layer, on the tokens it computes."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from runners.engine.adapters.base import Adapter
from runners.engine.attention import LookBack
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
        """Uninitialised room for ``capacity`` tokens, or a few more, as the attention backend wants it."""
        room = capacity + -capacity % adapter.attention.page
        shape = (adapter.shape.layers, adapter.shape.kv_heads, room, adapter.shape.head_dim)
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
    """Collects layers during a prefill; of ``probe_layers`` also queries and attention outputs."""

    probe_layers: tuple[int, ...]
    layers: list[CapturedLayer] = field(default_factory=list)


@dataclass(frozen=True)
class PromptTensors:
    """A laid-out prompt on the device.

    Attributes:
        hidden: input embeddings with the media's features in place, ``(tokens, hidden)``.
        cos, sin: rotary angles, each ``(capacity, head_dim)``.
        deepstack: what is added to the hidden states after each of the first layers, ``(deepstack, tokens, hidden)``,
            0 for text; None for families that add nothing.
    """

    hidden: Tensor
    cos: Tensor
    sin: Tensor
    deepstack: Tensor | None = None


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


class _TokenSet:
    """The tokens computed in a layer, and what depends on the set alone.

    Attributes:
        tokens, at: their indices on the CPU and on the device.
        everything: whether they are all of the prompt's tokens.
        cos, sin: their rotary angles.
    """

    def __init__(self, tokens: Tensor, prompt: PromptTensors, length: int) -> None:
        self.tokens = tokens
        self.at = tokens.to(prompt.hidden.device)
        self.everything = len(tokens) == length
        whole = slice(None, length)
        self.cos, self.sin = (angles[whole if self.everything else self.at] for angles in (prompt.cos, prompt.sin))

    @cached_property
    def view(self) -> LookBack | None:
        """Which keys they see; None for everything."""
        return None if self.everything else LookBack(self.tokens, self.at)

    @cached_property
    def pairs(self) -> float:
        """How many query-key pairs their attention has in a layer."""
        return float((self.tokens + 1).sum())


def prefill(
    adapter: Adapter,
    prompt: PromptTensors,
    kv: KVBuffer,
    plan: Plan,
    capture: Capture | None = None,
    to_head: bool = True,
    skips: bool = True,
) -> PrefillResult:
    """Compute the plan's tokens on top of what ``kv`` holds for the others, and write their keys and values there.

    The last token goes through every layer to the head, whatever the plan says, unless ``to_head`` is False. Without
    ``skips`` tokens go through attention and MLP of their last layer too, which nobody reads: for tests and benchmarks.
    """
    shape = adapter.shape
    tokens, layers = len(plan.depth), shape.layers
    depth = plan.depth.clone()
    if to_head:
        depth[-1] = layers + 1
    ends = set(depth.unique().tolist())
    active = _TokenSet(depth.nonzero()[:, 0], prompt, tokens)
    hidden = prompt.hidden if active.everything else prompt.hidden[active.at]
    flops = 0.0
    for index in range(layers):
        if not len(active.tokens):
            break
        layer = adapter.layers[index]
        normed, raw_k, v = layer.project_kv(hidden)
        k = rotate(raw_k, active.cos, active.sin)
        flops += kv_flops(shape, len(active.tokens))
        if plan.refine is not None:
            fresh = FreshLayer(index, active.tokens, active.at, hidden, normed, k, v, kv.k[index], kv.v[index])
            kept = plan.refine(fresh)
            if kept is not None:
                depth[active.tokens[~kept.cpu()]] = index + 1
                ends.add(index + 1)
        if active.everything:
            kv.k[index, :, :tokens], kv.v[index, :, :tokens] = k, v
        else:
            kv.k[index].index_copy_(1, active.at, k)
            kv.v[index].index_copy_(1, active.at, v)
        continued = finishing = active
        if index + 1 in ends:
            going_on = (depth[active.tokens] > index + 1).nonzero()[:, 0]
            continued = _TokenSet(active.tokens[going_on], prompt, tokens)
            chosen = going_on.to(hidden.device)
            if skips:
                finishing, hidden, normed = continued, hidden[chosen], normed[chosen]
        raw_q = attended = None
        if len(finishing.tokens):
            raw_q = layer.project_q(normed)
            q = rotate(raw_q, finishing.cos, finishing.sin)
            attended = adapter.attention.attend(q, kv.k[index], kv.v[index], finishing.view)
            hidden = layer.finish(hidden, attended)
            if index < shape.deepstack and prompt.deepstack is not None:
                hidden = hidden + prompt.deepstack[index, finishing.at]
            flops += block_flops(shape, len(finishing.tokens)) + attention_flops(shape, finishing.pairs)
        if capture is not None:
            probed = index in capture.probe_layers
            capture.layers.append(
                CapturedLayer(
                    active.tokens, raw_k, v, finishing.tokens, raw_q if probed else None, attended if probed else None
                )
            )
        if continued is not finishing:
            hidden = hidden[chosen]
        active = continued
    return PrefillResult(hidden[-1:], depth.clamp(max=layers), flops)
