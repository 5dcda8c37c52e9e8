"""What a request took, counted the same way for every method: tokens and operations, and what that asks of a device."""

from __future__ import annotations

from runners.engine.adapters.base import Adapter
from runners.engine.measure.flops import block_flops, full_prefill_flops, head_flops, kv_flops
from runners.engine.plan import Plan
from runners.engine.prefill import PrefillResult
from runners.engine.prompt.layout import Layout
from runners.engine.work import Work
from runners.records import CacheStats, ComputedMedium, Demand


def count(adapter: Adapter, work: Work, plan: Plan, result: PrefillResult, selection: float) -> CacheStats:
    """What was asked, reused and computed; ``selection``: operations of choosing tokens. Stores are not looked at."""
    layout, media, layers = work.layout, work.media, adapter.shape.layers
    spans = [slice(segment.start, segment.end) for segment in layout.segments]
    all_encoded = sum(adapter.encoder_flops(grid) for grid in media.grids.values())
    kv_hit = [bool((result.depth[span] < layers).any()) for span in spans]
    encoder_hit = [key in media.entries for key in media.keys]
    return CacheStats(
        media=len(media.keys),
        media_hits=sum(kv or encoder for kv, encoder in zip(kv_hit, encoder_hit, strict=True)),
        encoder_hits=sum(encoder_hit),
        kv_hits=sum(kv_hit),
        prompt_tokens=layout.tokens,
        vision_tokens=layout.vision_tokens,
        prefix_tokens=work.prefix_tokens,
        planned_token_layers=sum(int(plan.depth[span].sum()) for span in spans),
        computed_token_layers=sum(int(result.depth[span].sum()) for span in spans),
        layers=layers,
        flops=_encoded(adapter, work) + result.flops + selection + head_flops(adapter.shape),
        full_flops=all_encoded + full_prefill_flops(adapter.shape, layout.tokens),
        stored_bytes=0,
        kv_bytes_per_token=None,
    )


def demand(adapter: Adapter, work: Work, result: PrefillResult, selection: float) -> Demand:
    """What the executed work asks of the device, see ``Demand``; weights are counted from the model's sizes."""
    shape, number = adapter.shape, adapter.dtype.itemsize
    token = 2 * shape.kv_heads * shape.head_dim * number
    reused = work.prefix_tokens + sum(part.tokens for part in work.reusable)
    weights = (kv_flops(shape, 1) + block_flops(shape, 1)) / 2 * number
    return Demand(
        encode_flops=_encoded(adapter, work),
        load_bytes=2.0 * reused * token * shape.layers,
        select_flops=selection,
        prefill_flops=result.flops,
        prefill_bytes=shape.layers * (weights + work.layout.tokens * token),
        head_flops=head_flops(shape),
        head_bytes=head_flops(shape) / 2 * number,
        fetch_bytes=float(work.fetched_bytes),
    )


def computed_media(adapter: Adapter, layout: Layout, result: PrefillResult) -> tuple[ComputedMedium, ...]:
    """In how many layers each token of each medium was computed."""
    return tuple(
        ComputedMedium.of(adapter.token_grid(segment.grid), result.depth[segment.start : segment.end].tolist())
        for segment in layout.segments
    )


def _encoded(adapter: Adapter, work: Work) -> float:
    return sum(adapter.encoder_flops(work.media.grids[key]) for key in work.media.computed)
