"""The drift probe: how much would a reused token's attention output change in its new context?

With a token's query and attention output of the donor stored for a few layers, one attention call over stored tensors
answers that: no encoder, no projections of vision tokens, no MLP. At layer 0 the answer is exact up to rounding,
because queries, keys and values there depend on nothing but content and position; deeper ones are stale, but nearly
right where nothing before them depended on the context: the layer in which a binding forms shows it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from runners.engine.attention.view import LookBack
from runners.engine.kv.rotary import rotate
from runners.engine.measure.flops import attention_flops
from runners.engine.method import PlanContext
from runners.engine.store.entries import Probe


def drift_scores(context: PlanContext, among: Tensor) -> Tensor:
    """Score the drift of the tokens ``among``: ``(among,)`` on the CPU.

    Per probed layer the norm of the change after the output projection (of its sketch, see ``kv/sketch.py``),
    divided by its mean; the mean over layers, because in a maximum the noise of one layer hides what another found
    (docs/method.md). The keys and values of required tokens before the candidates must be in place, see
    ``PlanContext.compute_before_candidates`` and ``run_text_pass``.

    Args:
        among: places in ``context.candidates()``, ascending.
    """
    change = drift(context, among)
    mean = change.mean(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
    scores: Tensor = (change / mean).mean(dim=0)
    return scores.cpu()


def drift(context: PlanContext, among: Tensor) -> Tensor:
    """Measure how far every probed layer's attention output moved, ``(layers, among)``."""
    layers = context.probe_layers
    now = _attended_now(context, among)
    then = torch.cat([probe.outputs[:, rows] for probe, rows in _probes(context, among)], dim=1)
    outputs = torch.stack([context.sketch(layer, rows) for layer, rows in zip(layers, now, strict=True)])
    context.selection_flops += 2.0 * now.numel() * context.adapter.shape.parts * context.sketch.width
    change: Tensor = (outputs - then).float().norm(dim=-1)
    return change


def _attended_now(context: PlanContext, among: Tensor) -> Tensor:
    """Compute attention outputs over what stands before the tokens now, ``(layers, among, width)``, in one call."""
    shape, device, layers = context.adapter.shape, context.adapter.device, context.probe_layers
    tokens = context.candidates()[among]
    at = tokens.to(device)
    stored = torch.cat([probe.q.restore(rows) for probe, rows in _probes(context, among)], dim=2)
    q = rotate(stored, context.prompt.cos[at], context.prompt.sin[at])
    attention, view = context.adapter.attention, LookBack(tokens, at)
    seen = slice(view.reach + -view.reach % attention.page)
    layer_kv = [context.kv.layer(layer) for layer in layers]
    k, v = (torch.cat([kv[which][:, seen] for kv in layer_kv]) for which in (0, 1))
    attended = attention.attend(q.reshape(len(layers) * shape.own_heads, len(at), shape.head_dim), k, v, view)
    context.selection_flops += len(layers) * attention_flops(shape, float((at + 1).sum()))
    return attended.view(len(at), len(layers), -1).transpose(0, 1)


def _probes(context: PlanContext, among: Tensor) -> list[tuple[Probe, Tensor]]:
    """Return every reusable part's probe, and which of its rows are ``among``, on the device."""
    probes, first = [], 0
    for part in context.reusable:
        assert part.donor.probe is not None, "the donor was stored without a probe"
        rows = among[(among >= first) & (among < first + part.tokens)] - first + part.offset
        probes.append((part.donor.probe, rows.to(context.adapter.device)))
        first += part.tokens
    return probes
