"""Attention mass: which share of some queries' attention a key receives.

CONDUIT, ProphetKV and KVShare choose tokens by it. As in CONDUIT's code (cpa2001/CONDUIT, ``recompute.py``) it is the
mean over heads and queries of the attention probabilities, in float32.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from runners.engine.forward.capture import Capture
from runners.engine.kv.rotary import rotate
from runners.engine.measure.flops import attention_flops
from runners.engine.method import PlanContext
from runners.engine.parallel import ranks, sum_over_ranks
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
    queries, at = question_queries(context, capture, len(k))
    candidates = context.candidates().to(context.adapter.device)
    return attention_mass(queries, k[:, :, : int(at[-1]) + 1], at)[:, candidates]


def question_queries(context: PlanContext, capture: Capture, layers: int) -> tuple[Tensor, Tensor]:
    """Take the question's rotated queries in the first layers from a capture, and the tokens they belong to.

    Returns:
        ``(layers, heads, queries, head_dim)`` and ``(queries,)``, on the device.
    """
    prompt, question = context.prompt, question_span(context)
    at = torch.arange(question.start, question.stop, device=context.adapter.device)
    queries = [layer.q[:, -len(at) :] for layer in capture.layers[:layers] if layer.q is not None]
    return rotate(torch.stack(queries), prompt.cos[question], prompt.sin[question]), at


def question_span(context: PlanContext) -> slice:
    """Find the question: the text after the last medium, or the last token where there is none."""
    layout = context.layout
    return slice(min(layout.segments[-1].end, layout.tokens - 1), layout.tokens)


def attention_mass(q: Tensor, k: Tensor, at: Tensor) -> Tensor:
    """Compute the mean attention probability of every key over all heads and queries, ``(layers, tokens)`` float32.

    Args:
        q, k, at: see ``attention_rows``.
    """
    mass = torch.zeros(len(q), k.shape[2], dtype=torch.float32, device=q.device)
    for layers, _, mean in attention_rows(q, k, at):
        mass[layers, : mean.shape[-1]] += mean.sum(dim=1)
    return mean_over_ranks(mass) / len(at)


def attention_rows(q: Tensor, k: Tensor, at: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
    """Compute attention probabilities, for as many layers and queries at a time as allowed: the mean over own heads.

    That is ``MOST_AT_ONCE`` probabilities, one layer and one query at least. ``mean_over_ranks`` of what is made of
    them is that over all heads.

    Args:
        q: rotated queries, ``(layers, heads, queries, head_dim)``.
        k: rotated keys of tokens 0, 1, ..., ``(layers, kv_heads, tokens, head_dim)``.
        at: the token that each query belongs to, ascending, ``(queries,)``; it sees the keys up to its own.

    Yields:
        some layers, some queries, and of these the probabilities of the keys up to the last query's own,
        ``(layers, queries, keys)`` float32.
    """
    count, heads, queries, head_dim = q.shape
    kv_heads, tokens = k.shape[1:3]
    together = max(1, MOST_AT_ONCE // (tokens * (heads * queries + kv_heads * head_dim)))
    step = max(1, MOST_AT_ONCE // (together * heads * tokens))
    for first in range(0, count, together):
        layers = slice(first, min(first + together, count))
        keys = (k[layers].float() * head_dim**-0.5).transpose(2, 3)
        for start in range(0, queries, step):
            rows = slice(start, min(start + step, queries))
            seen_from = at[rows]
            reach = int(seen_from[-1]) + 1
            unseen = torch.arange(reach, device=q.device) > seen_from[:, None]
            asked = q[layers, :, rows].float().reshape(len(keys), kv_heads, -1, head_dim)
            logits = (asked @ keys[..., :reach]).view(len(keys), heads, -1, reach)
            yield layers, rows, logits.masked_fill_(unseen, -torch.inf).softmax(dim=-1).mean(dim=1)


def mean_over_ranks(attention: Tensor) -> Tensor:
    """Average means over the heads of each process, so that they are means over all heads."""
    return sum_over_ranks(attention) / ranks()


def attention_mass_flops(shape: TextShape, at: Tensor) -> float:
    """Count the operations of ``attention_mass`` in one layer: attention without its sum of values."""
    return attention_flops(shape, float((at + 1).sum())) / 2
