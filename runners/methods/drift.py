"""The drift probe: how much would a reused token's attention output change in its new context?

With a token's query and attention output of the donor stored for the first layers, one attention call over stored
tensors answers that: no encoder, no projections of vision tokens, no MLP. At layer 0 the answer is exact,
because queries, keys and values there depend on nothing but content and position; deeper ones are stale, but nearly
right where nothing before them depended on the context: the layer in which a binding forms shows it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from runners.engine.attention import attend
from runners.engine.flops import attention_flops
from runners.engine.rotary import rotate
from runners.engine.store.entries import Probe
from runners.methods.base import PlanContext, Reusable


def drift_scores(context: PlanContext) -> Tensor:
    """A score per reusable token, in the order of ``context.candidates()``, ``(candidates,)`` on the CPU.

    Per probed layer the norm of the change after the output projection (of its sketch, see ``runners.engine.sketch``),
    divided by its mean; the maximum over layers.
    """
    layers = context.probe_layers
    context.compute_before_candidates(layers[-1] + 1)
    now = _attended_now(context)
    then = torch.cat([_probe(part).outputs[:, part.offset :] for part in context.reusable], dim=1)
    outputs = [context.sketch(layer, rows) for layer, rows in zip(layers, now, strict=True)]
    change = (torch.stack(outputs) - then).float().norm(dim=-1)
    mean = change.mean(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
    context.selection_flops += 2.0 * now.numel() * context.sketch.width
    scores: Tensor = (change / mean).amax(dim=0)
    return scores.cpu()


def _attended_now(context: PlanContext) -> Tensor:
    """Attention outputs of the candidates over what stands before them now, ``(layers, candidates, width)``.

    All layers go through one attention call. The call runs over every token up to the last candidate, with empty
    queries for the text between: plain causal attention skips half of the work that a masked subset does not.
    """
    shape, device, layers = context.adapter.shape, context.adapter.device, context.probe_layers
    at = context.candidates().to(device)
    reach = int(at[-1]) + 1
    stored = torch.cat([_probe(part).q[:, :, part.offset :] for part in context.reusable], dim=2)
    q = torch.zeros(len(layers), shape.heads, reach, shape.head_dim, device=device, dtype=stored.dtype)
    q[:, :, at] = rotate(stored, context.prompt.cos[at], context.prompt.sin[at])
    k, v = (torch.cat([buffer[layer, :, :reach] for layer in layers]) for buffer in (context.kv.k, context.kv.v))
    attended = attend(q.view(len(layers) * shape.heads, reach, shape.head_dim), k, v, None)
    context.selection_flops += len(layers) * attention_flops(shape, reach * (reach + 1) / 2)
    return attended.view(reach, len(layers), -1)[at].transpose(0, 1)


def _probe(part: Reusable) -> Probe:
    assert part.donor.probe is not None, "the donor was stored without a probe"
    return part.donor.probe
