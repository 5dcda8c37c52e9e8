"""The text pass: all required tokens through all layers over the reused keys and values as they are.

It answers the request as blind reuse does, and shows what the question reads of the reused tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from runners.engine.forward.capture import Capture
from runners.engine.kv.rotary import rotate
from runners.engine.method import PlanContext
from runners.engine.plan import Answer
from runners.methods.parts.attention_mass import MOST_AT_ONCE, attention_mass_flops, question_span


@dataclass(frozen=True)
class TextPass:
    """What a text pass computed.

    Attributes:
        answer: the request's answer if nothing reusable is computed.
        attention: mean attention probability of every candidate over the question's tokens and the heads,
            ``(layers, candidates)`` float32 on the device.
        written: what a candidate writes at most to one token of the question: attention times the L2 norm of V, the
            mean over heads and layers, the maximum over the question's tokens, ``(candidates,)`` float32 on the device.
    """

    answer: Answer
    attention: Tensor
    written: Tensor


def run_text_pass(context: PlanContext) -> TextPass:
    """Compute the required tokens, and what the question reads."""
    question = question_span(context)
    depth = context.required.clone()
    depth[question] = context.layers + 1
    capture = Capture(tuple(range(context.layers)))
    result = context.rehearse(depth, capture, to_head=True)
    attention, written = _reads(context, capture, question)
    answer = Answer(result.hidden, result.flops, Capture(context.probe_layers, capture.layers))
    return TextPass(answer, attention, written)


def _reads(context: PlanContext, capture: Capture, question: slice) -> tuple[Tensor, Tensor]:
    """Compute ``TextPass.attention`` and ``TextPass.written``, as many layers and queries at a time as allowed.

    That is ``MOST_AT_ONCE`` probabilities, one layer and one query at least.
    """
    prompt, shape, device = context.prompt, context.adapter.shape, context.adapter.device
    at = torch.arange(question.start, question.stop, device=device)
    candidates = context.candidates().to(device)
    unseen = torch.arange(question.stop, device=device) > at[:, None]
    queries = torch.stack([layer.q[:, -len(at) :] for layer in capture.layers if layer.q is not None])
    queries = rotate(queries, prompt.cos[question], prompt.sin[question]).float()
    attention = torch.zeros(context.layers, len(candidates), device=device)
    read = torch.zeros(len(at), len(candidates), device=device)
    tokens = question.stop
    together = max(1, MOST_AT_ONCE // (tokens * (shape.heads * len(at) + shape.kv_heads * shape.head_dim)))
    step = max(1, MOST_AT_ONCE // (together * shape.heads * tokens))
    for layers in torch.arange(context.layers).split(together):
        some = slice(int(layers[0]), int(layers[-1]) + 1)
        keys = (context.kv.k[some, :, :tokens].float() * shape.head_dim**-0.5).transpose(2, 3)
        norms = context.kv.v[some][:, :, candidates].float().square().sum(dim=(1, 3)).sqrt()
        for start in range(0, len(at), step):
            rows = slice(start, min(start + step, len(at)))
            asked = queries[some, :, rows].reshape(len(layers), shape.kv_heads, -1, shape.head_dim)
            logits = (asked @ keys).view(len(layers), shape.heads, -1, tokens)
            mean = logits.masked_fill_(unseen[rows], -torch.inf).softmax(dim=-1).mean(dim=1)[..., candidates]
            attention[some] += mean.sum(dim=1) / len(at)
            read[rows] += (mean * norms[:, None]).sum(dim=0)
    context.selection_flops += context.layers * attention_mass_flops(shape, at.cpu())
    return attention, read.amax(dim=0) / context.layers
