"""The first token of a request, from chat messages to logits: everything that TTFT measures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from runners.base import Request
from runners.engine.adapters.base import Adapter, RenderedPrompt
from runners.engine.chunks import prefill_in_chunks
from runners.engine.forward.capture import Capture
from runners.engine.forward.margin import logit_margin
from runners.engine.kv.fetch import Fetcher
from runners.engine.kv.sketch import OutputSketch
from runners.engine.kv.workspace import Workspace
from runners.engine.loading import Loader
from runners.engine.looks import Looks
from runners.engine.measure.timing import Part, TtftClock
from runners.engine.method import Method, PlanContext
from runners.engine.parallel import failing_alike, require_agreement
from runners.engine.plan import Plan
from runners.engine.prefill import PrefillResult, prefill
from runners.engine.prepared import PreparedRequest
from runners.engine.prompt.features import place_features
from runners.engine.prompt.layout import Layout, lay_out
from runners.engine.prompt.resolve import Encoded, ResolvedMedia, resolve_media
from runners.engine.prompt.tensors import PromptTensors
from runners.engine.store.stores import Lookup
from runners.engine.store.symbols import SymbolTable
from runners.profile import ModelProfile
from runners.risk.model import EVERYTHING


@dataclass(frozen=True)
class PlannedRequest:
    """A request with the plan of what is to be computed.

    Attributes:
        context: what the method looked at, and may look at again while the plan is executed.
    """

    rendered: RenderedPrompt
    prepared: PreparedRequest
    context: PlanContext
    plan: Plan


@dataclass(frozen=True)
class FirstToken:
    """The first token, and everything computed on the way to it.

    Attributes:
        capture: keys and values computed for the stores; None when the request is no donor of a medium.
        logits: ``(vocabulary,)``.
        ttft_ms, parts: see ``TtftClock``.
    """

    planned: PlannedRequest
    result: PrefillResult
    capture: Capture | None
    logits: Tensor
    token: int
    ttft_ms: float
    parts: Mapping[Part, float]


class Prefiller:
    """Computes first tokens with one method."""

    def __init__(
        self,
        adapter: Adapter,
        workspace: Workspace,
        method: Method,
        profile: ModelProfile,
        sketch: OutputSketch,
        looks: Looks,
    ) -> None:
        self._adapter, self._method, self._profile, self._sketch = adapter, method, profile, sketch
        self._looks = looks
        self.probes = method.probe_layers(adapter.shape.layers, profile)
        self._fingerprint = adapter.processor_fingerprint()
        self._loader = Loader(adapter, workspace, method, Fetcher(adapter.device))

    def answer(
        self, request: Request, stores: Lookup, symbols: SymbolTable, clock: TtftClock | None = None
    ) -> FirstToken:
        """Compute the first token of a request, reusing entries of ``stores``, and stop the clock.

        Args:
            clock: that runs since the request was handed over; None if that is now.

        Raises:
            DamagedEntry: an entry is damaged of which layers were already used.
            MediaError, PromptError: see ``runners.engine.errors``.
        """
        try:
            return self._answer(request, stores, symbols, clock or TtftClock(self._adapter.device))
        finally:
            self._loader.fetcher.stop()

    def _answer(self, request: Request, stores: Lookup, symbols: SymbolTable, clock: TtftClock) -> FirstToken:
        adapter, method = self._adapter, self._method
        planned = self._plan(request, stores, symbols, clock)
        clock.cut("select")
        prepared, plan = planned.prepared, planned.plan
        clock.book("select" if plan.answer is None else "prefill")
        is_donor = self.is_donor(prepared.media)
        capture = Capture(self.probes) if is_donor else None
        if plan.answer is not None:
            planned.context.selection_flops -= plan.answer.flops
            result = PrefillResult(plan.answer.hidden, plan.depth, plan.answer.flops)
            capture = plan.answer.capture if is_donor else None
        elif method.prefill_chunk:
            result = prefill_in_chunks(adapter, prepared.prompt, prepared.kv, plan, method.prefill_chunk)
        else:
            result = prefill(adapter, prepared.prompt, prepared.kv, plan, capture)
        clock.cut("prefill")
        logits = adapter.head(result.hidden)[0]
        if plan.least_margin is not None and float(logit_margin(logits)) < plan.least_margin:
            clock.cut("head")
            planned, result, capture = self._compute_everything(planned, result)
            clock.cut("prefill")
            logits = adapter.head(result.hidden)[0]
        token = int(logits.argmax())
        clock.cut("head")
        ttft, parts = clock.stop()
        return FirstToken(
            planned=planned,
            result=result,
            capture=capture,
            logits=logits,
            token=token,
            ttft_ms=ttft,
            parts=parts,
        )

    def compute_everything(self, first: FirstToken) -> FirstToken:
        """Compute all that a request reused, because a token behind the first is in doubt; the first was given.

        Its keys and values stand where the reused ones were. Nothing that was measured of the first token changes.
        """
        planned, result, capture = self._compute_everything(first.planned, first.result)
        return replace(first, planned=planned, result=result, capture=capture)

    def _compute_everything(
        self, planned: PlannedRequest, before: PrefillResult
    ) -> tuple[PlannedRequest, PrefillResult, Capture | None]:
        """Execute the plan that computes everything behind the exact prefix; FLOPs of ``before`` stay counted."""
        prepared, context, repair = planned.prepared, planned.context, planned.plan.repair
        marked = None if repair is None else replace(repair, share=EVERYTHING, in_doubt=True)
        plan = Plan(context.compute(context.candidates()), repair=marked)
        capture = Capture(self.probes) if self.is_donor(prepared.media) else None
        result = prefill(self._adapter, prepared.prompt, prepared.kv, plan, capture)
        return replace(planned, plan=plan), replace(result, flops=before.flops + result.flops), capture

    def plan(
        self, request: Request, stores: Lookup, symbols: SymbolTable, encoded: Encoded | None = None
    ) -> PlannedRequest:
        """Plan a request, and compute nothing more than the plan needs; not even media that another runner ``encoded``.

        Raises:
            DamagedEntry, MediaError, PromptError: see ``runners.engine.errors``.
        """
        try:
            return self._plan(request, stores, symbols, TtftClock(self._adapter.device), encoded)
        finally:
            self._loader.fetcher.stop()

    def is_donor(self, media: ResolvedMedia) -> bool:
        """Whether this request is the donor of a medium, whose keys and values are to be captured."""
        method = self._method
        return method.uses_kv and method.donor_policy == "previous" and bool(media.lacking(with_kv=True))

    def _plan(
        self,
        request: Request,
        stores: Lookup,
        symbols: SymbolTable,
        clock: TtftClock,
        encoded: Encoded | None = None,
    ) -> PlannedRequest:
        adapter = self._adapter
        with failing_alike("whether a prompt can be rendered in time"):
            rendered = adapter.render(request.messages)
        media = resolve_media(adapter, rendered.media, self._fingerprint, stores, clock, encoded)
        grids = [media.grids[key] for key in media.keys]
        layout = lay_out(adapter, rendered, media.keys, grids, symbols, request.max_new_tokens)
        prompt = self._embed(layout, media, request.max_new_tokens)
        clock.cut("prepare")
        # the last token is always computed: its output is the answer
        match = stores.prefix(layout.symbols[:-1])
        prepared = self._loader.load(layout, media, prompt, match, request.max_new_tokens)
        clock.cut("load")
        context = self._context(request, prepared, clock)
        plan = self._method.plan(context)
        require_agreement("the plan of a request", lambda: plan.decision)
        return PlannedRequest(rendered, prepared, context, plan)

    def _embed(self, layout: Layout, media: ResolvedMedia, room: int) -> PromptTensors:
        """Embed the text, put the media's features in place, and compute rotary angles of ``room`` more tokens, too."""
        hidden = self._adapter.embed(layout.ids.to(self._adapter.device))
        placed = [(slice(segment.start, segment.end), media.features[segment.key]) for segment in layout.segments]
        deepstack = place_features(hidden, placed, self._adapter.shape.deepstack)
        to_come = (torch.arange(room) + layout.next_position).expand(len(layout.positions), -1)
        positions = torch.cat((layout.positions, to_come), dim=1)
        return PromptTensors(hidden, *self._adapter.rotary(positions.to(self._adapter.device)), deepstack)

    def _context(self, request: Request, prepared: PreparedRequest, clock: TtftClock) -> PlanContext:
        return PlanContext(
            request=request.id,
            adapter=self._adapter,
            layout=prepared.layout,
            prompt=prepared.prompt,
            kv=prepared.kv,
            required=prepared.required,
            reusable=prepared.reusable,
            profile=self._profile,
            sketch=self._sketch,
            probe_layers=self.probes,
            looks_pay=self._looks.pay,
            clock=clock,
        )
