"""A request up to its first token: everything that TTFT measures."""

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
from runners.engine.prompt.features import place_features
from runners.engine.prompt.layout import Layout, SymbolTable, lay_out
from runners.engine.prompt.resolve import ResolvedMedia, resolve_media
from runners.engine.prompt.tensors import PromptTensors
from runners.engine.store.stores import Lookup
from runners.engine.work import Work
from runners.profile import ModelProfile


@dataclass(frozen=True)
class FirstToken:
    """What there is when the first token is out.

    Attributes:
        capture: keys and values that the request computed as donor of a medium; None when it is no donor.
        selection_flops: operations of choosing tokens.
        logits: ``(vocabulary,)``.
        ttft_ms, parts: see ``TtftClock``.
    """

    rendered: RenderedPrompt
    work: Work
    plan: Plan
    result: PrefillResult
    capture: Capture | None
    selection_flops: float
    logits: Tensor
    token: int
    ttft_ms: float
    parts: Mapping[Part, float]


class Prefiller:
    """Takes requests to their first token with one method."""

    def __init__(
        self, adapter: Adapter, workspace: Workspace, method: Method, profile: ModelProfile, sketch: OutputSketch
    ) -> None:
        self._adapter, self._method, self._profile, self._sketch = adapter, method, profile, sketch
        self.probes = method.probe_layers(adapter.shape.layers, profile)
        self._fingerprint = adapter.processor_fingerprint()
        self._loader = Loader(adapter, workspace, method, Fetcher(adapter.device))

    def answer(self, request: Request, stores: Lookup, symbols: SymbolTable) -> FirstToken:
        """Compute the first token of a request, reusing what is found in ``stores``, and stop the clock.

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
        work = self._loader.load(layout, media, prompt, match, request.max_new_tokens)
        clock.cut("load")
        context = self._context(request, work)
        plan = method.plan(context)
        clock.cut("select")
        capture = Capture(self.probes) if self._is_donor(media) else None
        if method.prefill_chunk:
            result = prefill_in_chunks(adapter, prompt, work.kv, plan, method.prefill_chunk)
        else:
            result = prefill(adapter, prompt, work.kv, plan, capture)
        clock.cut("prefill")
        logits = adapter.head(result.hidden)[0]
        token = int(logits.argmax())
        clock.cut("head")
        ttft, parts = clock.stop()
        return FirstToken(rendered, work, plan, result, capture, context.selection_flops, logits, token, ttft, parts)

    def _embed(self, layout: Layout, media: ResolvedMedia, room: int) -> PromptTensors:
        """Embed the text, put the media's features in place, and work out the rotary angles."""
        hidden = self._adapter.embed(layout.ids.to(self._adapter.device))
        placed = [(slice(segment.start, segment.end), media.features[segment.key]) for segment in layout.segments]
        deepstack = place_features(hidden, placed, self._adapter.shape.deepstack)
        to_come = (torch.arange(room) + layout.next_position).expand(len(layout.positions), -1)
        positions = torch.cat((layout.positions, to_come), dim=1)
        return PromptTensors(hidden, *self._adapter.rotary(positions.to(self._adapter.device)), deepstack)

    def _context(self, request: Request, work: Work) -> PlanContext:
        return PlanContext(
            request.id,
            self._adapter,
            work.layout,
            work.prompt,
            work.kv,
            work.required,
            work.reusable,
            self._profile,
            self._sketch,
            self.probes,
        )

    def _is_donor(self, media: ResolvedMedia) -> bool:
        """Whether keys and values are to be collected while they are computed."""
        method = self._method
        return method.uses_kv and method.donor_policy == "previous" and bool(media.lacking(with_kv=True))
