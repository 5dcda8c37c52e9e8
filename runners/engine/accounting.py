"""Counts of a request, taken the same way for every method: tokens, operations, and the bytes and FLOPs executed."""

from __future__ import annotations

from runners.engine.adapters.base import Adapter
from runners.engine.measure.flops import block_flops, full_prefill_flops, head_flops, kv_flops
from runners.engine.plan import Plan
from runners.engine.prefill import PrefillResult
from runners.engine.prepared import PreparedRequest
from runners.engine.prompt.layout import Layout
from runners.records import CacheStats, ComputedMedium, Demand


def count(
    adapter: Adapter, prepared: PreparedRequest, plan: Plan, result: PrefillResult, selection: float
) -> CacheStats:
    """Count media, hits, tokens and FLOPs of a request. Fields about the stores are left for the caller to fill in.

    Args:
        selection: FLOPs spent on choosing tokens.
    """
    layout, media, layers = prepared.layout, prepared.media, adapter.shape.layers
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
        prefix_tokens=prepared.prefix_tokens,
        planned_token_layers=sum(int(plan.depth[span].sum()) for span in spans),
        computed_token_layers=sum(int(result.depth[span].sum()) for span in spans),
        layers=layers,
        flops=_encoded(adapter, prepared) + result.flops + selection + head_flops(adapter.shape),
        full_flops=all_encoded + full_prefill_flops(adapter.shape, layout.tokens),
        stored_bytes=0,
        kv_bytes_per_token=None,
        loaded_tokens=int(sum(prepared.loaded[span].sum() for span in spans)),
        rotated_tokens=prepared.rotated,
    )


def differences(cache: CacheStats, prepared: PreparedRequest, result: PrefillResult, rotates: bool) -> tuple[str, ...]:
    """Say where less was reused than planned; empty where what was loaded, rotated and computed is as planned.

    Args:
        rotates: whether the method rotates reused keys.
    """
    found = []
    if cache.computed_token_layers > cache.planned_token_layers:
        found.append(
            f"{cache.computed_token_layers} vision token-layers were computed, "
            f"and {cache.planned_token_layers} were planned"
        )
    missing = int(((result.depth < cache.layers) & ~prepared.loaded).sum())
    if missing:
        found.append(f"{missing} tokens were neither loaded nor computed in every layer")
    reused = sum(part.tokens for part in prepared.reusable)
    if rotates and cache.rotated_tokens != reused:
        found.append(f"{cache.rotated_tokens} tokens were rotated, and {reused} are reused at a new place")
    return tuple(found)


def demand(adapter: Adapter, prepared: PreparedRequest, result: PrefillResult, selection: float) -> Demand:
    """Count FLOPs and bytes of the executed plan, see ``Demand``; bytes of weights follow from the model's sizes.

    Args:
        selection: FLOPs spent on choosing tokens.
    """
    shape, number = adapter.shape, adapter.dtype.itemsize
    token = 2 * shape.kv_heads * shape.head_dim * number
    reused = prepared.prefix_tokens + sum(part.tokens for part in prepared.reusable)
    weights = (kv_flops(shape, 1) + block_flops(shape, 1)) / 2 * number
    return Demand(
        encode_flops=_encoded(adapter, prepared),
        load_bytes=2.0 * reused * token * shape.layers,
        select_flops=selection,
        prefill_flops=result.flops,
        prefill_bytes=shape.layers * (weights + prepared.layout.tokens * token),
        head_flops=head_flops(shape),
        head_bytes=head_flops(shape) / 2 * number,
        fetch_bytes=float(prepared.fetched_bytes * shape.parts),
    )


def computed_media(adapter: Adapter, layout: Layout, result: PrefillResult) -> tuple[ComputedMedium, ...]:
    """Count in how many layers each token of each medium was computed."""
    return tuple(
        ComputedMedium.of(adapter.token_grid(segment.grid), result.depth[segment.start : segment.end].tolist())
        for segment in layout.segments
    )


def _encoded(adapter: Adapter, prepared: PreparedRequest) -> float:
    return sum(adapter.encoder_flops(prepared.media.grids[key]) for key in prepared.media.computed)
