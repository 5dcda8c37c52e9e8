"""Executes a plan, layer by layer, on the tokens it computes."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from torch import Tensor

from runners.engine.adapters.base import Adapter
from runners.engine.forward.recorded import run_layers
from runners.engine.forward.token_set import TokenSet
from runners.engine.graphs.arena import LARGEST
from runners.engine.kv.buffer import KVBuffer
from runners.engine.kv.rotary import rotate
from runners.engine.measure.flops import attention_flops, block_flops, kv_flops
from runners.engine.plan import FreshLayer, Plan
from runners.engine.prompt.tensors import PromptTensors


@dataclass(frozen=True)
class CapturedLayer:
    """Views of what one layer computed, kept for the stores: nothing is copied before the first token is out.

    Attributes:
        tokens: indices of the tokens whose keys and values these are, ``(computed,)``.
        k, v: before RoPE and as is, each ``(kv_heads, computed, head_dim)``.
        q: before RoPE, of the tokens that went on, ``(heads, continued, head_dim)``; None unless probed.
        attended: attention output before its projection, ``(continued, heads * head_dim)``; None unless probed.
        continued: indices of the tokens that went on.
    """

    tokens: Tensor
    k: Tensor
    v: Tensor
    continued: Tensor
    q: Tensor | None = None
    attended: Tensor | None = None


@dataclass
class Capture:
    """Collects layers during a prefill; of ``probe_layers`` also queries and attention outputs."""

    probe_layers: tuple[int, ...]
    layers: list[CapturedLayer] = field(default_factory=list)


@dataclass(frozen=True)
class PrefillResult:
    """The last token's final hidden state, ``(1, hidden)`` (empty without ``to_head``), and what was executed.

    Attributes:
        depth: layers in which each token was computed, ``(tokens,)`` on the CPU.
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
    """Compute the plan's tokens on top of what ``kv`` holds for the others, and write their keys and values there.

    The last token goes through every layer to the head, whatever the plan says, unless ``to_head`` is False. Without
    ``skips`` tokens go through attention and MLP of their last layer too, which nobody reads: for tests and benchmarks.

    Layers in which the same few tokens are computed, and nobody looks at them, are one launch where ``kv`` is memory
    on which work is recorded; all others are computed operation by operation.
    """
    work = _Prefill(adapter, prompt, kv, plan, capture, to_head, skips)
    layer = 0
    while layer < adapter.shape.layers and len(work.active.tokens):
        last = work.recordable_to(layer)
        if last is None:
            work.compute(layer)
        else:
            work.replay(layer, last)
        layer = layer + 1 if last is None else last + 1
    return PrefillResult(work.hidden[-1:].clone(), work.depth.clamp(max=adapter.shape.layers), work.flops)


class _Prefill:
    """A prefill on its way through the layers.

    Attributes:
        depth: see ``Plan``, one more than there are layers for who goes to the head.
        active: the tokens to be computed in the next layer.
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
        self.depth = plan.depth.clone()
        if to_head:
            self.depth[-1] = adapter.shape.layers + 1
        self._ends = set(self.depth.unique().tolist())
        self.active = self._set(self.depth.nonzero()[:, 0])
        self.hidden = prompt.hidden if self.active.everything else prompt.hidden[self.active.at]
        self.flops = 0.0

    def compute(self, index: int) -> None:
        """One layer, operation by operation."""
        layer, active, (held_k, held_v) = self._adapter.layers[index], self.active, self._kv.layer(index)
        hidden, raw_q, looks = self.hidden, None, self._plan.looks(index)
        if looks or self._capture is not None or index + 1 in self._ends:
            normed, raw_k, v = layer.project_kv(hidden)
        else:
            normed, raw_q, raw_k, v = layer.project_qkv(hidden)
        k = rotate(raw_k, *active.angles)
        if looks:
            fresh = FreshLayer(index, active.tokens, active.at, hidden, normed, k, v, held_k, held_v)
            self._drop(index, self._plan.look(fresh))
        if active.everything:
            held_k[:, : len(active.tokens)], held_v[:, : len(active.tokens)] = k, v
        else:
            held_k.index_copy_(1, active.at, k)
            held_v.index_copy_(1, active.at, v)
        continued = finishing = active
        if index + 1 in self._ends:
            going_on = self._going_on(index)
            continued, chosen = self._set(active.tokens[going_on]), going_on.to(hidden.device)
            if self._skips:
                finishing, hidden, normed = continued, hidden[chosen], normed[chosen]
        attended = None
        if len(finishing.tokens):
            raw_q = layer.project_q(normed) if raw_q is None else raw_q
            attended = self._adapter.attention.attend(rotate(raw_q, *finishing.angles), held_k, held_v, finishing.view)
            hidden = layer.finish(hidden, attended)
            if index < self._adapter.shape.deepstack and self._prompt.deepstack is not None:
                hidden = hidden + self._prompt.deepstack[index, finishing.at]
        self._count(active, finishing, layers=1)
        if self._capture is not None:
            probed = index in self._capture.probe_layers
            q, output = (raw_q, attended) if probed else (None, None)
            self._capture.layers.append(CapturedLayer(active.tokens, raw_k, v, finishing.tokens, q, output))
        self.hidden = hidden if continued is finishing else hidden[chosen]
        self.active, self._padded = continued, False

    def recordable_to(self, first: int) -> int | None:
        """The last of the layers from ``first`` on that can be one launch; None where ``first`` cannot.

        A layer of which something is still on its way begins a launch of its own: those before it need not wait.
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
        """The layers from ``first`` to ``last`` as one launch."""
        assert self._graphs is not None
        self._kv.layer(first)
        adapter, prompt, active, (k, v) = self._adapter, self._prompt, self.active, self._kv.unsettled
        going_on = self._going_on(last) if last + 1 in self._ends else None
        added = None
        if prompt.deepstack is not None and first < adapter.shape.deepstack:
            added = prompt.deepstack[first : last + 1]
        source = None if self._padded else self.hidden
        spare = k.shape[2] - 1
        rows = self._graphs.arena.fill(active.tokens, going_on, spare, prompt.cos, prompt.sin, source, added)
        self._graphs.run(
            ("layers", first, last, *rows.sizes, k.shape[2]), partial(run_layers, adapter, first, last), rows, k, v
        )
        continued = active if going_on is None else self._set(active.tokens[going_on])
        self._count(active, active, last - first)
        self._count(active, continued, layers=1)
        self.hidden, self.active, self._padded = rows.hidden[: len(continued.tokens)], continued, True

    def _set(self, tokens: Tensor) -> TokenSet:
        return TokenSet(tokens, self._prompt, len(self.depth))

    def _drop(self, index: int, kept: Tensor | None) -> None:
        """Let a layer be the last of those computed tokens that are not kept."""
        if kept is not None:
            self.depth[self.active.tokens[~kept.cpu()]] = index + 1
            self._ends.add(index + 1)

    def _going_on(self, index: int) -> Tensor:
        """Which of the tokens computed in a layer are computed in the next, or go to the head, ``(going on,)``."""
        return (self.depth[self.active.tokens] > index + 1).nonzero()[:, 0]

    def _count(self, projected: TokenSet, finished: TokenSet, layers: int) -> None:
        """Charge what so many layers take that project keys and values of some tokens and finish some of them."""
        shape = self._adapter.shape
        self.flops += layers * kv_flops(shape, len(projected.tokens))
        self.flops += layers * (block_flops(shape, len(finished.tokens)) + attention_flops(shape, finished.pairs))
