"""The contract of a method: which stores it uses, and which tokens it computes.

A method is a frozen dataclass; its fields are its options on the command line. It holds no state: what it may look at
comes in a ``PlanContext``, valid during one request.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import floor
from typing import ClassVar, Self

import torch
from torch import Tensor

from runners.defaults import DonorPolicy
from runners.engine.adapters.base import Adapter
from runners.engine.forward.capture import Capture
from runners.engine.kv.buffer import KVBuffer
from runners.engine.kv.sketch import OutputSketch
from runners.engine.plan import Plan
from runners.engine.prefill import prefill
from runners.engine.prompt.layout import Layout
from runners.engine.prompt.tensors import PromptTensors
from runners.engine.store.entries import DonorKV
from runners.profile import ModelProfile


@dataclass
class Reusable:
    """Vision tokens of one medium whose keys and values are at hand: token indices ``start``..``end``, half open.

    Attributes:
        key: content key of the medium.
        donor: what was stored of the whole medium.
        offset: where ``start`` lies within the medium (not 0 when a prefix covers its beginning).
    """

    key: str
    start: int
    end: int
    offset: int
    donor: DonorKV

    @property
    def tokens(self) -> int:
        """How many there are."""
        return self.end - self.start


@dataclass
class PlanContext:
    """What a method may look at while planning one request.

    Attributes:
        request: identity of the request, to seed draws.
        required: depth of every token if nothing reusable is recomputed: all layers for text and new media, 0 for
            an exact prefix and for reusable tokens; ``(tokens,)`` int64 on the CPU.
        reusable: the media parts a method decides about.
        kv: reused keys and values in place, those of other tokens still undefined.
        profile: what was measured for the model.
        sketch: what the outputs in a donor's probe were sketched with.
        probe_layers: layers of which donors carry a probe.
        selection_flops: what looking cost; a method adds to it.
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

    def budget(self, ratio: float) -> int:
        """Return how many reusable tokens a ratio pays for: that share of all the prompt's vision tokens, rounded down.

        So media that are new, or covered by an exact prefix, leave more to those that are reused. The executed ratio
        has the same denominator.
        """
        reusable = sum(part.tokens for part in self.reusable)
        return min(reusable, floor(ratio * self.layout.vision_tokens + 1e-9))

    def compute(self, tokens: Tensor) -> Tensor:
        """``required`` with these tokens computed too, in all layers."""
        depth = self.required.clone()
        depth[tokens] = self.layers
        return depth

    def compute_before_candidates(self, layers: int) -> None:
        """Fill in keys and values of the required tokens that candidates see, in the first layers."""
        depth = self.required.clamp(max=layers)
        depth[self.reusable[-1].end :] = 0
        self.rehearse(depth)

    def rehearse(self, depth: Tensor, capture: Capture | None = None) -> None:
        """Compute tokens to a ``depth`` while planning, over the reused keys and values as they are, and charge it.

        They are computed anew when the plan is executed. A depth of one more than there are layers takes a token
        through the last layer, too, so that it has a query there.
        """
        self.selection_flops += prefill(self.adapter, self.prompt, self.kv, Plan(depth), capture, to_head=False).flops


@dataclass(frozen=True)
class Method(ABC):
    """One rule for what is reused and what is computed.

    Class attributes:
        lossless: whether answers equal full recomputation's up to kernel rounding.
        analysis_only: whether the method looks at what it is to save: an upper bound, never timed, never in a verdict.
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
        """Prefixes match in multiples of so many tokens."""
        return 1

    @property
    def prefill_chunk(self) -> int:
        """So many tokens are computed at a time; 0: all at once, for whoever keeps or refines keys and values."""
        return 0

    @property
    def donor_policy(self) -> DonorPolicy:
        """Where stored keys and values come from."""
        return "previous"

    def probe_layers(self, layers: int, profile: ModelProfile) -> tuple[int, ...]:
        """In which of a model's ``layers`` the donor's queries and attention outputs are to be stored, ascending."""
        return ()

    def without_early_exit(self) -> Self:
        """Return the same rule without early exit: values that happen to agree drop no token.

        Models with random weights are answered by it, because how well values agree there tells nothing of real ones.
        """
        return self

    @abstractmethod
    def plan(self, context: PlanContext) -> Plan:
        """Decide what to compute."""
        ...
