"""``oracle``: the tokens whose true change the question truly reads most: a reference selector that knows the truth.

It first computes everything, and takes from that the attention of the question and the values of every layer. The score
of a token in a layer is the attention that it truly receives times how far its stored V is from the true one: what
reusing it would change in what the question reads there. The sum over all layers counts.

No rule that can be used has that knowledge, so a rule is judged by how near it comes. It is no proven bound: what the
tokens that are computed change in each other, and in the text between media, is left out of the score.

The work of looking is not counted, so its numbers are those of a selector that knows the truth for free. Its time means
nothing; it is never timed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from runners.engine.forward.capture import Capture
from runners.engine.kv.buffer import KVBuffer
from runners.engine.method import PlanContext
from runners.engine.parallel import sum_over_ranks
from runners.engine.plan import Plan
from runners.engine.prefill import prefill
from runners.methods.parts.attention_mass import captured_attention, question_span
from runners.methods.parts.ranking import RankingMethod
from runners.profile import ModelProfile
from workloads.errors import UsageError

ALL = -1


@dataclass(frozen=True)
class Oracle(RankingMethod):
    """Recompute the tokens whose true change the question reads most, known by computing everything first.

    Options:
        layer: whose attention and V count; -1 adds up all layers.
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
        attention = captured_attention(context, _captured_question(context, truth), truth.k)
        at = context.candidates().to(context.adapter.device)
        change = torch.stack([_change(truth.v[layer], context.kv.v[layer], at) for layer in range(context.layers)])
        scores = (attention * change).cpu()
        return scores.sum(dim=0) if self.layer == ALL else scores[self.layer]


def _computed_in_full(context: PlanContext) -> KVBuffer:
    """Compute the keys and values of the whole prompt, nothing reused."""
    tokens = context.layout.tokens
    scratch = KVBuffer.allocate(context.adapter.kv_shape, tokens)
    prefill(context.adapter, context.prompt, scratch, Plan(torch.full((tokens,), context.layers)), to_head=False)
    return scratch


def _captured_question(context: PlanContext, truth: KVBuffer) -> Capture:
    """Take the question through all layers over the true keys and values, so that its queries are seen."""
    capture = Capture(tuple(range(context.layers)))
    depth = torch.zeros_like(context.required)
    depth[question_span(context)] = context.layers + 1
    prefill(context.adapter, context.prompt, truth, Plan(depth), capture, to_head=False)
    return capture


def _change(true: Tensor, stored: Tensor, at: Tensor) -> Tensor:
    """Compute the L2 distance of tokens over all heads, ``(tokens,)``, of ``(kv_heads, capacity, head_dim)`` each."""
    return sum_over_ranks((true[:, at] - stored[:, at]).float().square().sum(dim=(0, 2))).sqrt()
