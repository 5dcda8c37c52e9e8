"""Which token is computed in which layer: the one type every method returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from runners.engine.forward.capture import Capture
from runners.records import Repair

ALL = slice(None)


@dataclass(frozen=True)
class FreshLayer:
    """What an adaptive method sees in a layer, right after the keys and values of the computed tokens.

    Attributes:
        layer: index of the layer.
        tokens: indices of the tokens computed in it, ascending, ``(computed,)`` on the CPU.
        at: the same on the device.
        hidden, normed: their hidden states before the layer, as they are and normed, each ``(computed, hidden)``.
        k, v: their fresh keys, after RoPE, and values, each ``(kv_heads, computed, head_dim)``; attention in this layer
            sees what they contain when ``refine`` returns.
        stored_k, stored_v: the KV cache of the layer before fresh keys and values are written to it, each ``(kv_heads,
            capacity, head_dim)``; defined for reusable tokens and for tokens before them that were computed while
            planning.
    """

    layer: int
    tokens: Tensor
    at: Tensor
    hidden: Tensor
    normed: Tensor
    k: Tensor
    v: Tensor
    stored_k: Tensor
    stored_v: Tensor

    def change_k(self, rows: Tensor | slice = ALL) -> Tensor:
        """Fresh less stored K of some of the computed tokens, ``(kv_heads, rows, head_dim)``."""
        return self.k[:, rows] - self.stored_k[:, self.at[rows]]

    def change_v(self, rows: Tensor | slice = ALL) -> Tensor:
        """Fresh less stored V of some of the computed tokens, ``(kv_heads, rows, head_dim)``."""
        return self.v[:, rows] - self.stored_v[:, self.at[rows]]


Refine = Callable[[FreshLayer], Tensor | None]


@dataclass(frozen=True)
class Answer:
    """The outcome of a pass while planning that computed all that the plan computes: the request's answer.

    Attributes:
        hidden: the last token's final hidden state, ``(1, hidden)``.
        flops: operations of the pass, which are those of the prefill.
        capture: what the pass computed, for the stores; None where it was not captured.
    """

    hidden: Tensor
    flops: float
    capture: Capture | None


@dataclass(frozen=True)
class Plan:
    """For every token the number of layers in which it is computed; in deeper layers it is reused.

    A token computed in some layer needs its hidden state from the layer before, so the computed sets are nested:
    that is why a depth says it all. In the last layer of its depth only a token's keys and values are
    projected. The text, and media without stored keys and values, are computed in all layers.

    Attributes:
        depth: ``(tokens,)`` int64 on the CPU, 0..layers.
        rehearsed: tokens that were computed to their depth while planning, ``(tokens,)`` bool on the CPU: their keys
            and values in the KV cache are kept, and prefill does not compute them again. None for none.
        answer: the answer, where a pass while planning computed it; then nothing is left to prefill.
        repair: the level of repair that was chosen, and its risk; None of methods that estimate none.
        least_margin: logit margin below which a token of the answer is in doubt: before it is given, everything is
            computed. None where no token is looked at.
        refine: called for methods that look at fresh keys and values; returns which of the computed tokens go on to
            the next layer, ``(computed,)`` bool, or None for all planned. It can only shrink.
        looks_in: the layers in which it is called; None for every layer.
    """

    depth: Tensor
    refine: Refine | None = None
    looks_in: frozenset[int] | None = None
    rehearsed: Tensor | None = None
    answer: Answer | None = None
    repair: Repair | None = None
    least_margin: float | None = None

    def __post_init__(self) -> None:
        if self.depth.dtype != torch.int64 or self.depth.dim() != 1:
            raise ValueError("a plan's depth is a vector of int64")

    @property
    def decision(self) -> bytes:
        """All that was decided, for processes that have to decide the same."""
        rehearsed = b"" if self.rehearsed is None else self.rehearsed.numpy().tobytes()
        rest = repr((self.answer is None, self.repair, self.least_margin, self.refine is None, self.looks_in))
        return self.depth.numpy().tobytes() + rehearsed + rest.encode()

    @property
    def remaining(self) -> Tensor:
        """Depth of every token that is left to compute: 0 for those that were rehearsed, ``(tokens,)``."""
        return self.depth if self.rehearsed is None else self.depth.masked_fill(self.rehearsed, 0)

    def looks(self, layer: int) -> bool:
        """Whether ``refine`` is to be called in a layer."""
        return self.refine is not None and (self.looks_in is None or layer in self.looks_in)

    def look(self, fresh: FreshLayer) -> Tensor | None:
        """What ``refine`` returns in the layers in which it is called; None in the others."""
        return self.refine(fresh) if self.refine is not None and self.looks(fresh.layer) else None
