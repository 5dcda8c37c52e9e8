"""The contract of a method: which stores it uses, and which tokens it computes.

A method is a frozen dataclass; its fields are its options on the command line. It holds no state: what it may look at
comes in a ``PlanContext``, valid during one request.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import ClassVar, Self

import torch
from torch import Tensor

from runners.defaults import DonorPolicy
from runners.engine.adapters.base import Adapter
from runners.engine.forward.capture import Capture
from runners.engine.kv.buffer import KVBuffer
from runners.engine.kv.sketch import OutputSketch
from runners.engine.measure.timing import TtftClock
from runners.engine.plan import Plan
from runners.engine.prefill import PrefillResult, prefill
from runners.engine.prompt.layout import Layout
from runners.engine.prompt.tensors import PromptTensors
from runners.engine.store.entries import DonorKV
from runners.profile import ModelProfile


@dataclass
class Reusable:
    """Vision tokens of one medium that have stored keys and values: token indices ``start``..``end``, half open.

    Attributes:
        key: content key of the medium.
        donor: stored keys and values of the whole medium.
        offset: index of ``start`` within the medium (not 0 when an exact prefix covers its beginning).
    """

    key: str
    start: int
    end: int
    offset: int
    donor: DonorKV

    @property
    def tokens(self) -> int:
        """Number of tokens."""
        return self.end - self.start


@dataclass
class PlanContext:
    """All that a method may look at while it plans one request.

    Attributes:
        request: identity of the request, to seed draws.
        required: depth of every token if nothing reusable is recomputed: all layers for text and new media, 0 for
            an exact prefix and for reusable tokens; ``(tokens,)`` int64 on the CPU.
        reusable: the vision tokens about which the method decides, by medium.
        kv: stored keys and values in place, those of other tokens still undefined.
        profile: measured layer sensitivities and probe layers of the model.
        sketch: the random projection by which attention outputs in a donor's probe were sketched.
        probe_layers: layers of which donors have a probe.
        selection_flops: FLOPs spent on choosing tokens; a method adds to it.
        looks_pay: whether looking at what is at stake has paid of late; see ``runners.engine.looks``.
        clock: books passes made while planning to a part of their own; None where nothing is timed.
    """

    request: str
    adapter: Adapter
    layout: Layout
    prompt: PromptTensors
    kv: KVBuffer
    required: Tensor
    reusable: Sequence[Reusable]
    profile: ModelProfile
    sketch: OutputSketch
    probe_layers: tuple[int, ...] = ()
    selection_flops: float = 0.0
    looks_pay: bool = True
    clock: TtftClock | None = None

    @property
    def layers(self) -> int:
        """Decoder layers."""
        return self.adapter.shape.layers

    def candidates(self) -> Tensor:
        """Indices of all reusable tokens, ascending, ``(candidates,)``."""
        spans = [torch.arange(part.start, part.end) for part in self.reusable]
        return torch.cat(spans) if spans else torch.empty(0, dtype=torch.int64)

    def is_reusable(self) -> Tensor:
        """Which tokens of the prompt are ``candidates``, ``(tokens,)`` bool on the CPU."""
        mask = torch.zeros(len(self.required), dtype=torch.bool)
        mask[self.candidates()] = True
        return mask

    def budget(self, ratio: float, up: bool = False) -> int:
        """Number of reusable tokens that a ratio allows to recompute: that share of all vision tokens, rounded down.

        ``up`` rounds up instead. So media that are new, or covered by an exact prefix, leave more to those that are
        reused. The share executed is measured of all vision tokens, too.
        """
        reusable = sum(part.tokens for part in self.reusable)
        share = ratio * self.layout.vision_tokens
        return min(reusable, ceil(share - 1e-9) if up else floor(share + 1e-9))

    def compute(self, tokens: Tensor) -> Tensor:
        """``required`` with these tokens computed too, in all layers."""
        depth = self.required.clone()
        depth[tokens] = self.layers
        return depth

    def compute_before_candidates(self, layers: int) -> None:
        """Compute, in the first layers, keys and values of the required tokens before the last candidate."""
        depth = self.required.clamp(max=layers)
        depth[self.reusable[-1].end :] = 0
        self.rehearse(depth)

    def rehearse(self, depth: Tensor, capture: Capture | None = None, to_head: bool = False) -> PrefillResult:
        """Compute tokens to a ``depth`` while planning, over stored keys and values; FLOPs are counted as selection.

        They are computed anew when the plan is executed, unless it says that they were rehearsed. A depth of one more
        than there are layers takes a token through the last layer, too, so that it has a query there; ``to_head``
        does so for the last token.
        """
        result = prefill(self.adapter, self.prompt, self.kv, Plan(depth), capture, to_head=to_head)
        self.selection_flops += result.flops
        if self.clock is not None:
            self.clock.cut("rehearse")
        return result


@dataclass(frozen=True)
class Method(ABC):
    """One rule that decides what is reused and what is computed.

    Class attributes:
        lossless: whether answers equal full recomputation's up to kernel rounding.
        analysis_only: whether the method looks at what it is to save: a reference, never timed, never in a verdict.
        uses_encoder_cache, uses_prefix, uses_kv: which stores it reads and fills.
    """

    lossless: ClassVar[bool] = False
    analysis_only: ClassVar[bool] = False
    uses_encoder_cache: ClassVar[bool] = True
    uses_prefix: ClassVar[bool] = True
    uses_kv: ClassVar[bool] = True

    @property
    def reuses(self) -> bool:
        """Whether any store is read and filled; two methods that reuse nothing differ by rounding alone."""
        return self.uses_encoder_cache or self.uses_prefix or self.uses_kv

    @property
    def adaptive(self) -> bool:
        """Whether tokens may leave between layers, by what was computed: less is then executed than was planned."""
        return False

    @property
    def rotates(self) -> bool:
        """Whether reused keys are rotated to their new position."""
        return True

    @property
    def prefix_block(self) -> int:
        """Block size of the prefix cache: prefixes match in multiples of so many tokens."""
        return 1

    @property
    def prefill_chunk(self) -> int:
        """Chunk size of the prefill in tokens; 0 for none, which methods need that store or refine keys and values."""
        return 0

    @property
    def donor_policy(self) -> DonorPolicy:
        """In which context donors are computed: the request that brought the medium, or one of their own."""
        return "previous"

    @property
    def compiles_donors(self) -> bool:
        """Whether the keys and values of a medium are computed by themselves, whichever request brings it."""
        return self.uses_kv and self.donor_policy != "previous"

    @property
    def promised_risk(self) -> float | None:
        """The share of answers that it may change, as it was asked; None for methods that promise nothing."""
        return None

    def probe_layers(self, layers: int, profile: ModelProfile) -> tuple[int, ...]:
        """Choose the layers, of so many, in which queries and attention outputs of donors are stored, ascending."""
        return ()

    def for_random_weights(self) -> Self:
        """Return the rule by which models with random weights are answered, whose values and answers tell nothing.

        What a rule decides by looking at them would tell nothing of the time that a real model takes.
        """
        return self

    @abstractmethod
    def plan(self, context: PlanContext) -> Plan:
        """Decide which token is computed in which layer."""
        ...
