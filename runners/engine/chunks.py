"""Chunked prefill, as in servers (Sarathi, arXiv 2308.16369): results equal those of one prefill up to rounding."""

from __future__ import annotations

from runners.engine.adapters.base import Adapter
from runners.engine.kv.buffer import KVBuffer
from runners.engine.plan import Plan
from runners.engine.prefill import PrefillResult, prefill
from runners.engine.prompt.tensors import PromptTensors


def prefill_in_chunks(adapter: Adapter, prompt: PromptTensors, kv: KVBuffer, plan: Plan, chunk: int) -> PrefillResult:
    """Execute ``plan`` as ``prefill`` does, ``chunk`` of its tokens at a time, in order.

    Raises:
        ValueError: the plan refines, and so must look at all tokens of a layer at once.
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
