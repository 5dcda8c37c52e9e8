"""Observes a method at work: its context, what it computed, and the hidden states.

The engine runs unchanged: it is given a method that passes everything on to the one observed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from runners.defaults import DonorPolicy
from runners.engine.kv.buffer import KVBuffer
from runners.engine.method import Method, PlanContext, Reusable
from runners.engine.plan import FreshLayer, Plan
from runners.engine.store.lru import ByteBudgetLru
from runners.profile import ModelProfile

Watch = Callable[[Method, PlanContext], Plan]


@dataclass(frozen=True)
class Observing(Method):
    """Wraps ``inner``, with ``watch`` for its ``plan``; donors carry a probe of every layer that can have one."""

    inner: Method
    watch: Watch

    def __post_init__(self) -> None:
        for name in inspect.get_annotations(Method):
            object.__setattr__(self, name, getattr(self.inner, name))

    @property
    def adaptive(self) -> bool:
        """See ``Method``."""
        return self.inner.adaptive

    @property
    def rotates(self) -> bool:
        """See ``Method``."""
        return self.inner.rotates

    @property
    def prefix_block(self) -> int:
        """See ``Method``."""
        return self.inner.prefix_block

    @property
    def donor_policy(self) -> DonorPolicy:
        """See ``Method``."""
        return self.inner.donor_policy

    @property
    def promised_risk(self) -> float | None:
        """See ``Method``."""
        return self.inner.promised_risk

    def probe_layers(self, layers: int, profile: ModelProfile) -> tuple[int, ...]:
        """See ``Method``. What the inner method would ask for is checked, too."""
        self.inner.probe_layers(layers, profile)
        return tuple(range(layers - 1)) if self.inner.uses_kv else ()

    def plan(self, context: PlanContext) -> Plan:
        """See ``Method``."""
        return self.watch(self.inner, context)


@dataclass(frozen=True)
class Seen:
    """One request, after it was answered.

    Attributes:
        context: what the method was given; its ``kv`` holds what the method used for the prompt's tokens.
        stored: the same buffer before anything was computed: reused keys and values, the rest undefined.
        tokens: indices of the vision tokens, ascending, ``(vision,)`` on the CPU.
        states: their hidden states before each layer, ``(layers, vision, hidden)``; NaN where unknown.
        computed: whether they were computed in a layer, ``(layers, vision)`` bool on the CPU.
    """

    context: PlanContext
    stored: KVBuffer
    tokens: Tensor
    states: Tensor
    computed: Tensor

    def rows(self, start: int, end: int) -> slice:
        """Locate the vision tokens with prompt indices ``start``..``end`` among ``tokens``."""
        first = int(torch.searchsorted(self.tokens, start))
        return slice(first, first + end - start)


@dataclass(frozen=True)
class _DonorStates:
    """Hidden states of a medium as it was computed for the store, ``(layers, tokens, hidden)`` on the CPU."""

    states: Tensor

    @property
    def nbytes(self) -> int:
        return self.states.nbytes


class Observer:
    """Observes one method; ``seen`` is the last request.

    Args:
        budget: bytes of hidden states of donors that are kept, on the CPU.
    """

    def __init__(self, method: Method, budget: int) -> None:
        self.method = Observing(method, self._watch)
        self.seen: Seen | None = None
        self._donors: ByteBudgetLru[_DonorStates] = ByteBudgetLru(budget)

    def forget(self) -> None:
        """Start anew, as an engine's ``reset`` does."""
        self.seen = None
        self._donors.clear()

    def keep_donors(self) -> None:
        """Remember the states of what the engine has stored; to be called after a request that was answered."""
        seen = self.seen
        if seen is None or not self.method.uses_kv or self.method.donor_policy != "previous":
            return
        reused = {part.end for part in seen.context.reusable}
        new: set[str] = set()
        for segment in seen.context.layout.segments:
            rows = seen.rows(segment.start, segment.end)
            if segment.end in reused or segment.key in new or not bool(seen.computed[:, rows].all()):
                continue
            new.add(segment.key)
            self._donors.put(segment.key, _DonorStates(seen.states[:, rows].to("cpu", copy=True)))

    def _watch(self, inner: Method, context: PlanContext) -> Plan:
        seen = self._begin(context)
        at = seen.tokens.to(context.adapter.device)
        own = probed_at(context, inner.probe_layers(context.layers, context.profile))
        made = inner.plan(own)
        context.selection_flops = own.selection_flops

        def refine(fresh: FreshLayer) -> Tensor | None:
            kept = made.look(fresh)
            context.selection_flops = own.selection_flops
            among = torch.isin(seen.tokens, fresh.tokens)
            rows = torch.searchsorted(fresh.tokens, seen.tokens[among]).to(at.device)
            seen.computed[fresh.layer] = among
            seen.states[fresh.layer, among.to(at.device)] = fresh.hidden[rows]
            return kept

        # an answer from planning is computed once more, over the same keys and values, so that its layers are seen
        rehearsed = made.rehearsed if made.answer is None else None
        return replace(made, refine=refine, looks_in=None, rehearsed=rehearsed, answer=None)

    def _begin(self, context: PlanContext) -> Seen:
        """Start a request, with nothing computed yet and the donors' states for reused tokens."""
        segments = context.layout.segments
        spans = [torch.arange(segment.start, segment.end) for segment in segments]
        tokens = torch.cat(spans) if spans else torch.empty(0, dtype=torch.int64)
        hidden = context.prompt.hidden
        states = hidden.new_full((context.layers, len(tokens), hidden.shape[-1]), torch.nan)
        stored = context.kv.copy()
        self.seen = Seen(context, stored, tokens, states, torch.zeros(states.shape[:2], dtype=torch.bool))
        keys = {segment.end: segment.key for segment in segments}
        for part in context.reusable:
            donor = self._donors.get(keys[part.end])
            if donor is not None:
                states[:, self.seen.rows(part.start, part.end)] = donor.states[:, part.offset :].to(states.device)
        return self.seen


def probed_at(context: PlanContext, layers: Sequence[int]) -> PlanContext:
    """Restrict a context to donors with probes of ``layers`` alone, out of all those that it has."""
    chosen = [context.probe_layers.index(layer) for layer in layers]
    return replace(
        context, reusable=[_with_probes(part, chosen) for part in context.reusable], probe_layers=tuple(layers)
    )


def _with_probes(part: Reusable, chosen: Sequence[int]) -> Reusable:
    probe = part.donor.probe
    if probe is None:
        return part
    rows = list(chosen)
    kept = probe.only(rows) if rows else None
    return replace(part, donor=replace(part.donor, probe=kept))
