"""``oracle``: the tokens whose V truly deviates most from full recomputation: for analysis.

It bounds from above what a selector can reach where damage follows the change of V, which it does not on every model
(docs/method.md). It first computes everything to compare with. That work is not counted, so its numbers are those of a
selector that knows the true values for free. Its time means nothing; it is never timed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from runners.engine.kv.buffer import KVBuffer
from runners.engine.method import PlanContext
from runners.engine.plan import Plan
from runners.engine.prefill import prefill
from runners.methods.parts.ranking import RankingMethod
from runners.profile import ModelProfile
from workloads.errors import UsageError

ALL = -1


@dataclass(frozen=True)
class Oracle(RankingMethod):
    """Recompute the tokens whose stored values are most wrong, known by computing everything first.

    Options:
        layer: whose V is compared; -1 adds up the deviations of all layers, each relative to the mean norm of the
            true V in its layer.
    """

    analysis_only: ClassVar[bool] = True
    layer: int = ALL

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layer < ALL:
            raise ValueError(f"layer must be one of the model's, or -1 for all, not {self.layer}")

    def probe_layers(self, layers: int, profile: ModelProfile) -> tuple[int, ...]:
        """See ``Method``. Nothing is stored for it.

        Raises:
            UsageError: the model has no such layer.
        """
        if self.layer >= layers:
            raise UsageError(f"layer={self.layer}: the model's layers are 0 to {layers - 1}")
        return ()

    def scores(self, context: PlanContext) -> Tensor:
        """See ``RankingMethod``."""
        truth = _computed_in_full(context)
        compared: Sequence[int] = range(context.layers) if self.layer == ALL else [self.layer]
        at = context.candidates().to(context.adapter.device)
        deviations = [_deviation(truth.v[layer][:, at], context.kv.v[layer][:, at]) for layer in compared]
        return torch.stack(deviations).sum(dim=0).cpu()


def _computed_in_full(context: PlanContext) -> KVBuffer:
    """Compute the keys and values of the whole prompt, nothing reused."""
    tokens = context.layout.tokens
    scratch = KVBuffer.allocate(context.adapter.kv_shape, tokens)
    prefill(context.adapter, context.prompt, scratch, Plan(torch.full((tokens,), context.layers)), to_head=False)
    return scratch


def _deviation(true: Tensor, stored: Tensor) -> Tensor:
    """Compute L2 distances of tokens, relative to the mean norm, ``(tokens,)``, of ``(kv_heads, tokens, head_dim)``."""
    distance = (true - stored).float().square().sum(dim=(0, 2)).sqrt()
    return distance / true.float().square().sum(dim=(0, 2)).sqrt().mean()
