"""The text pass: all required tokens through all layers over the reused keys and values as they are.

It answers the request as blind reuse does, and shows what the question reads of the reused tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from runners.engine.forward.capture import Capture
from runners.engine.method import PlanContext
from runners.engine.plan import Answer
from runners.methods.parts.attention_mass import (
    attention_mass_flops,
    attention_rows,
    mean_over_ranks,
    question_queries,
    question_span,
)
from runners.methods.parts.value_norm import value_norms


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
    attention, written = _reads(context, capture)
    answer = Answer(result.hidden, result.flops, Capture(context.probe_layers, capture.layers))
    return TextPass(answer, attention, written)


def _reads(context: PlanContext, capture: Capture) -> tuple[Tensor, Tensor]:
    """Compute ``TextPass.attention`` and ``TextPass.written``."""
    queries, at = question_queries(context, capture, context.layers)
    candidates = context.candidates().to(at.device)
    attention = torch.zeros(context.layers, len(candidates), device=at.device)
    written = torch.zeros(len(at), len(candidates), device=at.device)
    norms = value_norms(context)
    for layers, rows, mean in attention_rows(queries, context.kv.k[:, :, : int(at[-1]) + 1], at):
        read = mean[..., candidates]
        attention[layers] += read.sum(dim=1) / len(at)
        written[rows] += (read * norms[layers, None]).sum(dim=0)
    context.selection_flops += context.layers * attention_mass_flops(context.adapter.shape, at.cpu())
    return mean_over_ranks(attention), mean_over_ranks(written).amax(dim=0) / context.layers
