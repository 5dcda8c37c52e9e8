"""Donors made: copied out of the prefill of the request just answered, or compiled by a prefill of the medium alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from runners.engine.adapters.base import Adapter
from runners.engine.forward.capture import Capture
from runners.engine.kv.buffer import KVBuffer
from runners.engine.kv.quantise import Quantised
from runners.engine.kv.sketch import OutputSketch
from runners.engine.plan import Plan
from runners.engine.prefill import prefill
from runners.engine.prompt.features import place_features
from runners.engine.prompt.layout import MediaSegment
from runners.engine.prompt.tensors import PromptTensors
from runners.engine.store.entries import DonorKV, Probe


def donor_from_capture(sketch: OutputSketch, capture: Capture, segment: MediaSegment, exact: bool) -> DonorKV:
    """Copy a medium's keys, values and probe out of a prefill that computed all its tokens in all layers."""
    ks, vs = [], []
    for layer in capture.layers:
        rows = _rows(layer.tokens, segment)
        ks.append(layer.k[:, rows])
        vs.append(layer.v[:, rows])
    probe = None
    if capture.probe_layers:
        qs, outputs = [], []
        for index in capture.probe_layers:
            layer = capture.layers[index]
            assert layer.q is not None
            assert layer.attended is not None
            rows = _rows(layer.continued, segment)
            qs.append(layer.q[:, rows])
            outputs.append(sketch(index, layer.attended[rows]))
        probe = Probe(Quantised.of(torch.stack(qs)), torch.stack(outputs))
    return DonorKV(torch.stack(ks), torch.stack(vs), segment.position, exact, probe)


def compile_donor(
    adapter: Adapter,
    before: Sequence[int],
    segment: MediaSegment,
    features: Tensor,
    probe_layers: tuple[int, ...],
    sketch: OutputSketch,
) -> DonorKV:
    """Compile a donor: prefill a medium after nothing but the token ids ``before``; keep its keys and values."""
    start, end = len(before), len(before) + segment.tokens
    positions = torch.cat(
        (
            torch.arange(start).expand(adapter.shape.rope_axes, -1),
            adapter.media_positions(segment.grid) + start,
        ),
        dim=1,
    )
    hidden = features.new_empty(end, adapter.shape.hidden)
    hidden[:start] = adapter.embed(torch.tensor(before, dtype=torch.int64, device=adapter.device))
    deepstack = place_features(hidden, [(slice(start, end), features)], adapter.shape.deepstack)
    cos, sin = adapter.rotary(positions.to(adapter.device))
    capture = Capture(probe_layers)
    depth = torch.full((end,), adapter.shape.layers)
    prompt = PromptTensors(hidden, cos, sin, deepstack)
    prefill(adapter, prompt, KVBuffer.allocate(adapter.kv_shape, end), Plan(depth), capture, to_head=False)
    moved = MediaSegment(segment.key, segment.grid, start, end, position=start)
    return donor_from_capture(sketch, capture, moved, exact=True)


def _rows(tokens: Tensor, segment: MediaSegment) -> slice:
    """Find the rows of a segment's tokens among ascending token indices."""
    first = int(torch.searchsorted(tokens, segment.start))
    return slice(first, first + segment.tokens)
