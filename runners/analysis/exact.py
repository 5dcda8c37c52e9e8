"""Recompute a prompt in full, with a hook that may look at or change the keys and values of each layer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from runners.engine.kv.buffer import KVBuffer
from runners.engine.method import PlanContext
from runners.engine.plan import FreshLayer, Plan
from runners.engine.prefill import prefill


def recompute(context: PlanContext, look: Callable[[FreshLayer], None]) -> NDArray[np.float32]:
    """Prefill the whole prompt in a buffer of its own and return the first token's logits, ``(vocabulary,)``.

    ``look`` is called in every layer with all tokens; what it writes into ``k`` and ``v`` is what the layer sees.
    """
    adapter = context.adapter

    def refine(fresh: FreshLayer) -> None:
        look(fresh)

    plan = Plan(torch.full((context.layout.tokens,), context.layers), refine)
    result = prefill(adapter, context.prompt, KVBuffer.allocate(adapter.kv_shape, context.layout.tokens), plan)
    logits: NDArray[np.float32] = adapter.head(result.hidden)[0].float().cpu().numpy()
    return logits
