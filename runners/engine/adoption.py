"""Adoption: what one runner computed of a request is taken over by others that would compute exactly the same.

A runner that reuses nothing but an exact prefix computes all tokens behind it, whatever its method is. Its answer and
what it stores then depend on little: the prompt, the keys and values of that prefix, and how the prefill runs. Where
these are equal, to the last bit, the result is taken over, and the tensors that are stored are shared by all stores;
every store still has its own budget and eviction. An answer that was taken over has no times.

What is offered lives as long as its request: the next one begins with nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from runners.base import Request
from runners.defaults import DonorPolicy
from runners.engine.first_token import PlannedRequest
from runners.engine.parallel import everywhere
from runners.engine.prefill import PrefillResult
from runners.engine.prompt.resolve import Encoded
from runners.engine.store.entries import DonorKV

Probes = tuple[int, ...]


class PrefillMode(NamedTuple):
    """How a prefill runs, as far as its rounding depends on it.

    Attributes:
        captures: whether what it computes is captured for donors, which takes other kernels.
        chunk: see ``Method.prefill_chunk``.
    """

    captures: bool
    chunk: int


@dataclass(frozen=True)
class Offer:
    """What a runner computed of a request in which it reused nothing but an exact prefix.

    Attributes:
        depth: of its plan, ``(tokens,)``.
        prefix_tokens: tokens of the exact prefix that was reused.
        k, v: of all tokens of the prompt, after RoPE and as is, ``(layers, kv_heads, tokens, head_dim)``.
        probes: layers of which its donors have a probe.
        donors: captured donors by content key; empty where nothing was captured.
        logits: of the first token, ``(vocabulary,)``.
    """

    mode: PrefillMode
    depth: Tensor
    prefix_tokens: int
    k: Tensor
    v: Tensor
    probes: Probes
    donors: Mapping[str, DonorKV]
    result: PrefillResult
    logits: Tensor
    token_ids: tuple[int, ...]

    def serves(self, planned: PlannedRequest, mode: PrefillMode, probes: Probes) -> bool:
        """Whether a runner whose prefill runs in that ``mode``, over the prefix that it found, would compute this."""
        prepared, reused = planned.prepared, slice(self.prefix_tokens)
        if not is_shareable(planned) or mode != self.mode or (mode.captures and not set(probes) <= set(self.probes)):
            return False
        if prepared.prefix_tokens != self.prefix_tokens or not torch.equal(planned.plan.depth, self.depth):
            return False
        entry = prepared.match.entry
        return entry is None or everywhere(
            torch.equal(entry.k[:, :, reused], self.k[:, :, reused])
            and torch.equal(entry.v[:, :, reused], self.v[:, :, reused])
        )


def is_shareable(planned: PlannedRequest) -> bool:
    """Whether nothing but an exact prefix on the device is reused, and the plan depends on nothing but its depth."""
    prepared, plan = planned.prepared, planned.plan
    reuses = bool(prepared.media.entries or prepared.reusable) or prepared.fetched_prefix is not None
    return not reuses and plan.refine is None and plan.rehearsed is None and plan.answer is None


@dataclass
class Board:
    """What runners offer each other of one request.

    Attributes:
        encoded: encoder output of all media of the prompt, in one batch; None before the first offer.
    """

    encoded: Encoded | None = None
    _offers: list[Offer] = field(default_factory=list)
    _compiled: dict[tuple[str, DonorPolicy], tuple[Probes, DonorKV]] = field(default_factory=dict)

    def offer(self, offer: Offer, encoded: Encoded) -> None:
        """Offer an answer, with the encoder output that it was computed from."""
        self._offers.append(offer)
        self.encoded = self.encoded or encoded

    def find(self, planned: PlannedRequest, mode: PrefillMode, probes: Probes) -> Offer | None:
        """Find what a runner would compute; None where nobody computed it."""
        return next((offer for offer in self._offers if offer.serves(planned, mode, probes)), None)

    def offer_compiled(self, key: str, policy: DonorPolicy, probes: Probes, donor: DonorKV) -> None:
        """Offer the compiled donor of a medium; one with a probe of more layers takes the place of another."""
        offered, _ = self._compiled.get((key, policy), ((), None))
        if (key, policy) not in self._compiled or set(probes) > set(offered):
            self._compiled[key, policy] = (probes, donor)

    def compiled(self, key: str, policy: DonorPolicy, probes: Probes) -> DonorKV | None:
        """Find the compiled donor of a medium, with a probe of these layers."""
        offered, donor = self._compiled.get((key, policy), ((), None))
        return None if donor is None or not set(probes) <= set(offered) else narrowed(donor, offered, probes)


class Pool:
    """What the runners of a model share: a board for the request that they answer in turn."""

    def __init__(self) -> None:
        self._request: Request | None = None
        self._board: Board | None = None

    def board(self, request: Request) -> Board | None:
        """Return the board of a request, an empty one for the first that asks; None where nothing may be adopted."""
        if request is not self._request:
            self._request, self._board = request, Board() if request.adoptable else None
        return self._board


def narrowed(donor: DonorKV, offered: Probes, probes: Probes) -> DonorKV:
    """Share a donor's keys and values; of its probe keep the layers ``probes`` of those that it ``offered``."""
    if donor.probe is None or probes == offered:
        return donor
    return replace(donor, probe=donor.probe.only([offered.index(layer) for layer in probes]) if probes else None)
