"""The drift probe: how much would a reused token's attention output change in its new context?

With a token's query and attention output of the donor stored for the first layers, one attention call per layer over
stored tensors answers that: no encoder, no projections of vision tokens, no MLP. At layer 0 the answer is exact,
because queries, keys and values there depend on nothing but content and position; deeper ones are stale, but nearly
right where nothing before them depended on the context: the layer in which a binding forms shows it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from runners.engine.attention import attend
from runners.engine.rotary import rotate
from runners.engine.store.entries import Probe
from runners.methods.base import PlanContext, Reusable


def drift_scores(context: PlanContext, probe_layers: int) -> Tensor:
    """A score per reusable token, in the order of ``context.candidates()``, ``(candidates,)`` on the CPU.

    Per layer the norm of the change after the output projection, divided by its mean; the maximum over layers.
    Every donor must carry a probe of at least ``probe_layers`` layers.
    """
    context.compute_required(probe_layers)
    candidates = context.candidates()
    adapter, shape = context.adapter, context.adapter.shape
    at = candidates.to(adapter.device)
    cos, sin = context.prompt.cos[at], context.prompt.sin[at]
    reach = int(candidates[-1]) + 1
    scores = torch.zeros(len(candidates), device=adapter.device)
    for layer in range(probe_layers):
        q = torch.cat([_probe(part).q[layer, :, part.offset :] for part in context.reusable], dim=1)
        then = torch.cat([_probe(part).attended[layer, part.offset :] for part in context.reusable])
        now = attend(rotate(q, cos, sin), context.kv.k[layer, :, :reach], context.kv.v[layer, :, :reach], at)
        change = (adapter.layers[layer].project_output(now) - then).float().norm(dim=-1)
        scores = torch.maximum(scores, change / change.mean().clamp(min=torch.finfo(torch.float32).tiny))
    visible = float((candidates + 1).sum())
    projection = 2.0 * shape.hidden * shape.heads * shape.head_dim * len(candidates)
    context.selection_flops += probe_layers * (4.0 * shape.heads * shape.head_dim * visible + projection)
    return scores.cpu()


def _probe(part: Reusable) -> Probe:
    assert part.donor.probe is not None, "the donor was stored without a probe"
    return part.donor.probe
