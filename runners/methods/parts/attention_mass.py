"""Attention mass: which share of some queries' attention a key receives.

CONDUIT, ProphetKV and KVShare choose tokens by it. As in CONDUIT's code (cpa2001/CONDUIT, ``recompute.py``) it is the
mean over heads and queries of the attention probabilities, in float32.
"""

from __future__ import annotations

import torch
from torch import Tensor

from runners.engine.forward.capture import Capture
from runners.engine.kv.rotary import rotate
from runners.engine.measure.flops import attention_flops
from runners.engine.method import PlanContext
from runners.engine.shapes import TextShape

MOST_AT_ONCE = 1 << 24  # attention probabilities


def question_attention(context: PlanContext, layers: int | None = None) -> Tensor:
    """Compute the attention mass from the question to every reusable token, ``(layers, candidates)`` on the device.

    In the first ``layers``, or in all.

    The question is the text after the last medium, or the last token where there is none. Its queries come from one
    pass of all required tokens through these layers, over the reused keys and values as they are. The plan's execution
    computes the question anew, because what is recomputed before it changes its keys and values; so it does with other
    tokens, unless the plan says that they were rehearsed.
    """
    question = question_span(context)
    layers = context.layers if layers is None else layers
    depth = context.required.clamp(max=layers)
    depth[question] = layers + 1
    capture = Capture(tuple(range(layers)))
    context.rehearse(depth, capture)
    context.selection_flops += layers * attention_mass_flops(
        context.adapter.shape, torch.arange(question.start, question.stop)
    )
    k, _ = context.kv.first(layers)
    return captured_attention(context, capture, k)


def captured_attention(context: PlanContext, capture: Capture, k: Tensor) -> Tensor:
    """Compute the attention mass from the question to every reusable token, ``(layers, candidates)`` on the device.

    Args:
        capture: a pass that took the question through the first layers, of each of which ``k`` has the keys.
        k: rotated keys of the prompt, ``(layers, kv_heads, capacity, head_dim)``.
    """
    prompt, question = context.prompt, question_span(context)
    at = torch.arange(question.start, question.stop, device=context.adapter.device)
    candidates = context.candidates().to(context.adapter.device)
    queries = []
    for layer in capture.layers[: len(k)]:
        assert layer.q is not None
        queries.append(rotate(layer.q[:, -len(at) :], prompt.cos[question], prompt.sin[question]))
    return attention_mass(torch.stack(queries), k[:, :, : question.stop], at)[:, candidates]


def question_span(context: PlanContext) -> slice:
    """Find the question: the text after the last medium, or the last token where there is none."""
    layout = context.layout
    return slice(min(layout.segments[-1].end, layout.tokens - 1), layout.tokens)


def attention_mass(q: Tensor, k: Tensor, at: Tensor) -> Tensor:
    """Compute the mean attention probability of every key, ``(layers, tokens)`` float32.

    Args:
        q: rotated queries, ``(layers, heads, queries, head_dim)``.
        k: rotated keys of tokens 0, 1, ..., ``(layers, kv_heads, tokens, head_dim)``.
        at: the token that each query belongs to, ascending, ``(queries,)``; it sees the keys up to its own.
    """
    layers, heads, queries, head_dim = q.shape
    tokens = k.shape[2]
    together = max(1, MOST_AT_ONCE // (tokens * (heads * queries + k.shape[1] * head_dim)))
    masses = [_attention_mass(q[at_once], k[at_once], at) for at_once in torch.arange(layers).split(together)]
    return torch.cat(masses) / (heads * queries)


def _attention_mass(q: Tensor, k: Tensor, at: Tensor) -> Tensor:
    """Sum the probabilities of a few layers, over as many queries at a time as ``MOST_AT_ONCE`` allows."""
    layers, heads, queries, head_dim = q.shape
    kv_heads, tokens = k.shape[1:3]
    keys = (k.float() * head_dim**-0.5).transpose(2, 3)
    mass = torch.zeros(layers, tokens, dtype=torch.float32, device=q.device)
    step = max(1, MOST_AT_ONCE // (layers * heads * tokens))
    for start in range(0, queries, step):
        seen_from = at[start : start + step]
        reach = int(seen_from[-1]) + 1
        unseen = torch.arange(reach, device=q.device) > seen_from[:, None]
        rows = q[:, :, start : start + step].float().reshape(layers, kv_heads, -1, head_dim)
        logits = (rows @ keys[..., :reach]).view(layers, heads, len(seen_from), reach)
        mass[:, :reach] += logits.masked_fill_(unseen, -torch.inf).softmax(dim=-1).sum(dim=(1, 2))
    return mass


def attention_mass_flops(shape: TextShape, at: Tensor) -> float:
    """Count the operations of ``attention_mass`` in one layer: attention without its sum of values."""
    return attention_flops(shape, float((at + 1).sum())) / 2
