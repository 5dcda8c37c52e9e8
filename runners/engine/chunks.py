"""Prefill chunk by chunk, as servers do (Sarathi, arXiv 2308.16369): the same numbers, other kernels."""

from __future__ import annotations

from runners.engine.adapters.base import Adapter
from runners.engine.kv.buffer import KVBuffer
from runners.engine.plan import Plan
from runners.engine.prefill import PrefillResult, prefill
from runners.engine.prompt.tensors import PromptTensors


def prefill_in_chunks(adapter: Adapter, prompt: PromptTensors, kv: KVBuffer, plan: Plan, chunk: int) -> PrefillResult:
    """``prefill`` of ``plan``, its tokens computed ``chunk`` at a time, in order; equal up to rounding.

    ValueError for a plan that refines: it looks at all tokens of a layer at once.
    """
    if plan.refine is not None:
        raise ValueError("a plan that refines cannot be computed in chunks")
    tokens, flops = plan.depth.nonzero()[:, 0], 0.0
    *first, last = tokens.split(chunk)
    for part in first:
        depth = plan.depth.new_zeros(len(plan.depth)).index_copy_(0, part, plan.depth[part])
        flops += prefill(adapter, prompt, kv, Plan(depth), to_head=False).flops
    depth = plan.depth.new_zeros(len(plan.depth)).index_copy_(0, last, plan.depth[last])
    result = prefill(adapter, prompt, kv, Plan(depth))
    return PrefillResult(result.hidden, plan.depth.clone(), flops + result.flops)
