"""Chunked prefill, as in servers (Sarathi, arXiv 2308.16369): results equal those of one prefill up to rounding."""

from __future__ import annotations

import torch

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
    remaining, flops = plan.remaining, 0.0
    *first, last = remaining.nonzero()[:, 0].split(chunk)
    for part in first:
        depth = torch.zeros_like(remaining).index_copy_(0, part, remaining[part])
        flops += prefill(adapter, prompt, kv, Plan(depth), to_head=False).flops
    depth = torch.zeros_like(remaining).index_copy_(0, last, remaining[last])
    result = prefill(adapter, prompt, kv, Plan(depth))
    return PrefillResult(result.hidden, plan.depth.clone(), flops + result.flops)
