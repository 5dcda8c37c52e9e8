"""One request between its first and its last token: what is at hand, and what has to be computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from runners.engine.prefill import KVBuffer, PromptTensors
from runners.engine.prompt import Layout
from runners.engine.resolve import ResolvedMedia
from runners.methods.base import Reusable


@dataclass(frozen=True)
class Work:
    """A laid-out request with its media, and the keys and values in place that are reused.

    Attributes:
        prefix_tokens: tokens taken over with an exactly equal prefix.
        reusable: media parts whose keys and values were put in place.
        required: depth of every token if nothing reusable is recomputed, see ``PlanContext``.
    """

    layout: Layout
    media: ResolvedMedia
    prompt: PromptTensors
    kv: KVBuffer
    prefix_tokens: int
    reusable: Sequence[Reusable]
    required: Tensor
