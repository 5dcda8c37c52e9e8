"""Prefill: executes a plan, layer by layer, on the tokens that it computes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from runners.engine.adapters.base import Adapter
from runners.engine.forward.capture import Capture, CapturedLayer
from runners.engine.forward.layer import EarlyExit, LayerKV, run_layer
from runners.engine.forward.recorded import run_layers
from runners.engine.forward.token_set import TokenSet
from runners.engine.graphs.arena import LARGEST
from runners.engine.kv.buffer import KVBuffer
from runners.engine.measure.flops import attention_flops, block_flops, kv_flops
from runners.engine.parallel import require_agreement
from runners.engine.plan import FreshLayer, Plan
from runners.engine.prompt.tensors import PromptTensors


@dataclass(frozen=True)
class PrefillResult:
    """The last token's final hidden state, ``(1, hidden)`` (empty without ``to_head``), and what was executed.

    Attributes:
        depth: layers in which each token was computed, while planning or now, ``(tokens,)`` on the CPU.
        flops: operations of the layers that ran.
    """

    hidden: Tensor
    depth: Tensor
    flops: float


def prefill(
    adapter: Adapter,
    prompt: PromptTensors,
    kv: KVBuffer,
    plan: Plan,
    capture: Capture | None = None,
    to_head: bool = True,
    skips: bool = True,
) -> PrefillResult:
    """Compute the plan's tokens over the keys and values in ``kv`` of all others, and write their own there.

    The last token goes through every layer to the head, whatever the plan says, unless ``to_head`` is False.

    Layers in a row that compute the same few tokens, and in which the plan does not look, are one launch where ``kv``
    is memory on which work is recorded; all others are computed operation by operation.

    Args:
        kv: reused keys and values in place, with room for the whole prompt.
        capture: collects what is computed.
        skips: whether tokens leave their last layer once their keys and values are written. If not, they go through
            its attention and MLP as well, whose results are not used: for tests and benchmarks.
    """
    walk = _Prefill(adapter, prompt, kv, plan, capture=capture, to_head=to_head, skips=skips)
    layer = 0
    while layer < adapter.shape.layers and len(walk.active.tokens):
        last = walk.recordable_to(layer)
        if last is None:
            walk.compute(layer)
        else:
            walk.replay(layer, last)
        layer = layer + 1 if last is None else last + 1
    depth = walk.depth if plan.rehearsed is None else torch.where(plan.rehearsed, plan.depth, walk.depth)
    return PrefillResult(walk.hidden[-1:].clone(), depth.clamp(max=adapter.shape.layers), walk.flops)


class _Leaving(NamedTuple):
    """Which of the computed tokens go on, ``(kept,)`` on the device, and these as a set."""

    kept: Tensor
    continued: TokenSet


class _Prefill:
    """The state of a prefill between two layers.

    Attributes:
        depth: see ``Plan``; one more than there are layers for a token that goes to the head.
        active: the tokens that are computed in the next layer.
        hidden: their hidden states before it.
        flops: operations of the layers so far.
    """

    def __init__(
        self,
        adapter: Adapter,
        prompt: PromptTensors,
        kv: KVBuffer,
        plan: Plan,
        capture: Capture | None,
        to_head: bool,
        skips: bool,
    ) -> None:
        self._adapter, self._prompt, self._kv, self._plan = adapter, prompt, kv, plan
        self._capture, self._skips = capture, skips
        self._graphs = kv.graphs if capture is None and skips else None
        self._padded = False
        self._leaving: _Leaving | None = None
        self.depth = plan.remaining.clone()
        if to_head:
            self.depth[-1] = adapter.shape.layers + 1
        self._ends = set(self.depth.unique().tolist())
        self.active = self._set(self.depth.nonzero()[:, 0])
        self.hidden = prompt.hidden if self.active.everything else prompt.hidden[self.active.at]
        self.flops = 0.0

    def compute(self, index: int) -> None:
        """Run one layer, operation by operation."""
        active = self.active
        kv = LayerKV(*self._kv.layer(index), active.slots)
        some_leave = self._plan.looks(index) or index + 1 in self._ends
        # without exits Q is projected together with K and V, and would be kept in memory with what is captured
        exits = partial(self._exits, index, kv) if some_leave or self._capture is not None else None
        out = run_layer(self._adapter, index, self.hidden, active, kv, exits)
        leaving = self._leaving if exits is not None else None
        continued = active if leaving is None else leaving.continued
        finished = continued if self._skips else active
        self._count(active, finished, layers=1)
        if self._capture is not None:
            probed = index in self._capture.probe_layers
            q, attended = (out.q, out.attended) if probed else (None, None)
            self._capture.layers.append(CapturedLayer(active.tokens, out.k, out.v, finished.tokens, q, attended))
        self.hidden = out.hidden if leaving is None or self._skips else out.hidden[leaving.kept]
        self.active, self._padded = continued, False

    def _exits(self, index: int, old: LayerKV, normed: Tensor, k: Tensor, v: Tensor) -> EarlyExit | None:
        """See ``Exits``: let the method look at a layer, then let the tokens leave whose last layer it is."""
        active = self.active
        if self._plan.looks(index):
            fresh = FreshLayer(
                layer=index,
                tokens=active.tokens,
                at=active.at,
                hidden=self.hidden,
                normed=normed,
                k=k,
                v=v,
                stored_k=old.k,
                stored_v=old.v,
            )
            self._drop(index, self._plan.look(fresh))
        self._leaving = None
        if index + 1 in self._ends:
            kept = self._kept(index)
            self._leaving = _Leaving(kept.to(self.hidden.device), self._set(active.tokens[kept]))
        return None if self._leaving is None or not self._skips else EarlyExit(*self._leaving)

    def recordable_to(self, first: int) -> int | None:
        """Find the last layer of a launch that begins with ``first``; None where that cannot be recorded.

        A layer whose stored keys are still being fetched begins a launch of its own: those before need not wait.
        """
        if self._graphs is None or self.active.everything or len(self.active.tokens) > LARGEST:
            return None
        last = None
        for index in range(first, self._adapter.shape.layers):
            if self._plan.looks(index) or (index > first and self._kv.is_due(index)):
                return last
            last = index
            if index + 1 in self._ends:
                return last
        return last

    def replay(self, first: int, last: int) -> None:
        """Run the layers from ``first`` to ``last`` in one launch, or eagerly where it is not yet recorded."""
        assert self._graphs is not None
        self._kv.layer(first)
        adapter, prompt, active, (k, v) = self._adapter, self._prompt, self.active, self._kv.unsettled
        kept = self._kept(last) if last + 1 in self._ends else None
        added = None
        if prompt.deepstack is not None and first < adapter.shape.deepstack:
            added = prompt.deepstack[first : last + 1]
        rows = self._graphs.arena.fill(
            active.tokens,
            kept,
            scratch=k.shape[2] - 1,
            cos=prompt.cos,
            sin=prompt.sin,
            hidden=None if self._padded else self.hidden,
            added=added,
        )
        self._graphs.run(
            ("layers", first, last, *rows.sizes, k.shape[2]), partial(run_layers, adapter, first, last), rows, k, v
        )
        continued = active if kept is None else self._set(active.tokens[kept])
        self._count(active, active, last - first)
        self._count(active, continued, layers=1)
        self.hidden, self.active, self._padded = rows.hidden[: len(continued.tokens)], continued, True

    def _set(self, tokens: Tensor) -> TokenSet:
        return TokenSet(tokens, self._prompt, len(self.depth))

    def _drop(self, index: int, kept: Tensor | None) -> None:
        """Make a layer the last one of those computed tokens that are not kept, ``(computed,)`` bool; None for none."""
        if kept is not None:
            kept = kept.cpu()
            require_agreement(f"the tokens that go on behind layer {index}", kept.numpy().tobytes)
            self.depth[self.active.tokens[~kept]] = index + 1
            self._ends.add(index + 1)

    def _kept(self, index: int) -> Tensor:
        """Which of the tokens computed in a layer are computed in the next, or go to the head, ``(kept,)``."""
        return (self.depth[self.active.tokens] > index + 1).nonzero()[:, 0]

    def _count(self, projected: TokenSet, finished: TokenSet, layers: int) -> None:
        """Count the FLOPs of so many layers that project K and V of some tokens and finish some of them."""
        shape = self._adapter.shape
        self.flops += layers * kv_flops(shape, len(projected.tokens))
        self.flops += layers * (block_flops(shape, len(finished.tokens)) + attention_flops(shape, finished.pairs))
