"""The first token of a request, from chat messages to logits: everything that TTFT measures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from runners.base import Request
from runners.engine.adapters.base import Adapter, RenderedPrompt
from runners.engine.chunks import prefill_in_chunks
from runners.engine.forward.capture import Capture
from runners.engine.kv.fetch import Fetcher
from runners.engine.kv.sketch import OutputSketch
from runners.engine.kv.workspace import Workspace
from runners.engine.loading import Loader
from runners.engine.measure.timing import Part, TtftClock
from runners.engine.method import Method, PlanContext
from runners.engine.plan import Plan
from runners.engine.prefill import PrefillResult, prefill
from runners.engine.prepared import PreparedRequest
from runners.engine.prompt.features import place_features
from runners.engine.prompt.layout import Layout, SymbolTable, lay_out
from runners.engine.prompt.resolve import ResolvedMedia, resolve_media
from runners.engine.prompt.tensors import PromptTensors
from runners.engine.store.stores import Lookup
from runners.profile import ModelProfile


@dataclass(frozen=True)
class FirstToken:
    """The first token, and everything computed on the way to it.

    Attributes:
        capture: keys and values computed for the stores; None when the request is no donor of a medium.
        selection_flops: FLOPs spent on choosing tokens.
        logits: ``(vocabulary,)``.
        ttft_ms, parts: see ``TtftClock``.
    """

    rendered: RenderedPrompt
    prepared: PreparedRequest
    plan: Plan
    result: PrefillResult
    capture: Capture | None
    selection_flops: float
    logits: Tensor
    token: int
    ttft_ms: float
    parts: Mapping[Part, float]


class Prefiller:
    """Computes first tokens with one method."""

    def __init__(
        self, adapter: Adapter, workspace: Workspace, method: Method, profile: ModelProfile, sketch: OutputSketch
    ) -> None:
        self._adapter, self._method, self._profile, self._sketch = adapter, method, profile, sketch
        self.probes = method.probe_layers(adapter.shape.layers, profile)
        self._fingerprint = adapter.processor_fingerprint()
        self._loader = Loader(adapter, workspace, method, Fetcher(adapter.device))

    def answer(self, request: Request, stores: Lookup, symbols: SymbolTable) -> FirstToken:
        """Compute the first token of a request, reusing entries of ``stores``, and stop the clock.

        Raises:
            MediaError, PromptError: see ``runners.engine.errors``.
        """
        adapter, method = self._adapter, self._method
        clock = TtftClock(adapter.device)
        rendered = adapter.render(request.messages)
        media = resolve_media(adapter, rendered.media, self._fingerprint, stores, clock)
        grids = [media.grids[key] for key in media.keys]
        layout = lay_out(adapter, rendered, media.keys, grids, symbols, request.max_new_tokens)
        prompt = self._embed(layout, media, request.max_new_tokens)
        clock.cut("prepare")
        # the last token is always computed: its output is the answer
        match = stores.prefix(layout.symbols[:-1])
        prepared = self._loader.load(layout, media, prompt, match, request.max_new_tokens)
        clock.cut("load")
        context = self._context(request, prepared, clock)
        plan = method.plan(context)
        clock.cut("select")
        clock.book("select" if plan.answer is None else "prefill")
        capture = Capture(self.probes) if self._is_donor(media) else None
        if plan.answer is not None:
            context.selection_flops -= plan.answer.flops
            result = PrefillResult(plan.answer.hidden, plan.depth, plan.answer.flops)
            capture = plan.answer.capture if self._is_donor(media) else None
        elif method.prefill_chunk:
            result = prefill_in_chunks(adapter, prompt, prepared.kv, plan, method.prefill_chunk)
        else:
            result = prefill(adapter, prompt, prepared.kv, plan, capture)
        clock.cut("prefill")
        logits = adapter.head(result.hidden)[0]
        token = int(logits.argmax())
        clock.cut("head")
        ttft, parts = clock.stop()
        return FirstToken(
            rendered=rendered,
            prepared=prepared,
            plan=plan,
            result=result,
            capture=capture,
            selection_flops=context.selection_flops,
            logits=logits,
            token=token,
            ttft_ms=ttft,
            parts=parts,
        )

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
            clock=clock,
        )

    def _is_donor(self, media: ResolvedMedia) -> bool:
        """Whether this request is the donor of a medium, whose keys and values are to be captured."""
        method = self._method
        return method.uses_kv and method.donor_policy == "previous" and bool(media.lacking(with_kv=True))
