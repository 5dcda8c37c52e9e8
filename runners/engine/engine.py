"""The short story: segments -> stores -> plan -> prefill -> first token -> decode -> what is kept."""

from __future__ import annotations

from dataclasses import replace

import torch

from runners.base import Request, Response
from runners.engine.accounting import computed_media, count, demand
from runners.engine.adapters.base import Adapter
from runners.engine.chunks import prefill_in_chunks
from runners.engine.decode import decode
from runners.engine.donors import compile_donor, donor_from_capture
from runners.engine.errors import MediaError, PromptError, PromptTooLong
from runners.engine.features import place_features
from runners.engine.peak import PeakMeter
from runners.engine.placing import Stored, place
from runners.engine.prefill import Capture, KVBuffer, PrefillResult, PromptTensors, prefill
from runners.engine.prompt import Layout, SymbolTable, lay_out
from runners.engine.resolve import ResolvedMedia, resolve_media
from runners.engine.sketch import OutputSketch
from runners.engine.store.entries import Entry, MediaEntry
from runners.engine.store.lru import ByteBudgetLru
from runners.engine.store.media_store import MediaStore
from runners.engine.store.prefix_store import PrefixStore
from runners.engine.timing import PARTS, TtftClock
from runners.engine.work import Work
from runners.methods.base import Method, PlanContext, Reusable
from runners.profile import ModelProfile
from runners.records import Status, Timing
from workloads.records import Media, MediaKind, Message

UNMEASURED = ModelProfile()


class Engine:
    """Answers requests with one method and its own stores.

    Args:
        budget: bytes that stored media and prefixes may hold together.
        profile: what was measured for the model.
        strict: whether computing what could have been reused fails the request.
    """

    def __init__(
        self,
        adapter: Adapter,
        method: Method,
        budget: int,
        strict: bool = False,
        profile: ModelProfile = UNMEASURED,
    ) -> None:
        self._adapter, self._method, self._strict = adapter, method, strict
        self._profile = profile
        self._probes = method.probe_layers(adapter.shape.layers, profile)
        self._sketch = OutputSketch(adapter)
        self._fingerprint = adapter.processor_fingerprint()
        self._lru: ByteBudgetLru[Entry] = ByteBudgetLru(budget)
        self._media = MediaStore(self._lru)
        self._prefixes = PrefixStore(self._lru, method.prefix_block)
        self._symbols = SymbolTable()
        self._asked: set[str] = set()
        self._too_large: set[str] = set()

    def reset(self) -> None:
        """Forget everything stored."""
        self._lru.clear()
        self._symbols = SymbolTable()
        self._asked.clear()
        self._too_large.clear()

    @torch.inference_mode()
    def answer(self, request: Request) -> Response:
        """See ``Runner.answer``."""
        try:
            return self._answer(request)
        except MediaError as error:
            return Response(Status.BAD_MEDIA, error=str(error))
        except PromptTooLong as error:
            return Response(Status.PROMPT_TOO_LONG, error=str(error))
        except PromptError as error:
            return Response(Status.ERROR, error=str(error))
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            return Response(Status.OUT_OF_MEMORY, error=(str(error) or "out of memory").splitlines()[0])

    def _answer(self, request: Request) -> Response:
        adapter, method = self._adapter, self._method
        held, peak = adapter.weight_bytes + self._lru.nbytes, PeakMeter(adapter.device)
        clock = TtftClock(adapter.device)
        rendered = adapter.render(request.messages)
        store = self._media if method.uses_encoder_cache else None
        media = resolve_media(adapter, rendered.media, self._fingerprint, store, clock)
        grids = [media.grids[key] for key in media.keys]
        layout = lay_out(adapter, rendered, media.keys, grids, self._symbols, request.max_new_tokens)
        prompt = self._embed(layout, media, request.max_new_tokens)
        clock.cut("prepare")
        work = self._load(layout, media, prompt, request.max_new_tokens)
        clock.cut("load")
        context = PlanContext(
            request.id,
            adapter,
            layout,
            prompt,
            work.kv,
            work.required,
            work.reusable,
            self._profile,
            self._sketch,
            self._probes,
        )
        plan = method.plan(context)
        clock.cut("select")
        capture = self._capture_for(work)
        if method.prefill_chunk:
            result = prefill_in_chunks(adapter, prompt, work.kv, plan, method.prefill_chunk)
        else:
            result = prefill(adapter, prompt, work.kv, plan, capture)
        clock.cut("prefill")
        logits = adapter.head(result.hidden)[0]
        first = int(logits.argmax())
        clock.cut("head")
        ttft, parts = clock.stop()
        if not bool(torch.isfinite(logits).all()):
            return Response(
                Status.ERROR, error=f"the model's logits are not finite in {adapter.dtype}: try another --dtype"
            )

        watch = TtftClock(adapter.device)
        token_ids = decode(adapter, work.kv, prompt.cos, prompt.sin, layout.tokens, first, request.max_new_tokens)
        decoded, _ = watch.stop()
        fallbacks = self._fallbacks(rendered.media, work)
        watch = TtftClock(adapter.device)
        self._keep(work, result, capture)
        stored, _ = watch.stop()

        spent = {f"{part}_ms": parts.get(part, 0.0) for part in PARTS}
        timing = Timing(ttft_ms=ttft, decode_ms=decoded, store_ms=stored, **spent)
        taken = peak.taken()
        cache = replace(
            count(adapter, work, plan, result, context.selection_flops),
            stored_bytes=self._lru.nbytes,
            kv_bytes_per_token=self._bytes_per_vision_token(),
            fallbacks=fallbacks,
        )
        if self._strict and fallbacks:
            return Response(Status.REUSE_VIOLATED, timing=timing, cache=cache, error="; ".join(fallbacks))
        return Response(
            Status.OK,
            text=adapter.decode_text(token_ids),
            token_ids=tuple(token_ids),
            first_logits=logits.float().cpu().numpy(),
            timing=timing,
            cache=cache,
            computed=computed_media(adapter, layout, result),
            demand=demand(adapter, work, result, context.selection_flops),
            peak_bytes=None if taken is None else held + taken,
        )

    def _embed(self, layout: Layout, media: ResolvedMedia, room: int) -> PromptTensors:
        """Embed the text, put the media's features in place, and work out the rotary angles."""
        hidden = self._adapter.embed(layout.ids.to(self._adapter.device))
        placed = [(slice(segment.start, segment.end), media.features[segment.key]) for segment in layout.segments]
        deepstack = place_features(hidden, placed, self._adapter.shape.deepstack)
        to_come = (torch.arange(room) + layout.next_position).expand(len(layout.positions), -1)
        positions = torch.cat((layout.positions, to_come), dim=1)
        return PromptTensors(hidden, *self._adapter.rotary(positions.to(self._adapter.device)), deepstack)

    def _load(self, layout: Layout, media: ResolvedMedia, prompt: PromptTensors, room: int) -> Work:
        """Put the exact prefix and the reused media's keys and values in place; the rest is required."""
        kv = KVBuffer.allocate(self._adapter, layout.tokens + room)
        required = torch.full((layout.tokens,), self._adapter.shape.layers)
        matched = 0
        if self._method.uses_prefix:
            # the last token is always computed: its output is the answer
            matched, entry = self._prefixes.match(layout.symbols[:-1])
            if entry is not None:
                kv.k[:, :, :matched], kv.v[:, :, :matched] = entry.k[:, :, :matched], entry.v[:, :, :matched]
                required[:matched] = 0
        reusable: list[Reusable] = []
        for segment in layout.segments if self._method.uses_kv else ():
            entry_of = media.entries.get(segment.key)
            if entry_of is None or entry_of.donor is None or segment.end <= matched:
                continue
            start = max(segment.start, matched)
            part = Reusable(start, segment.end, start - segment.start, entry_of.donor)
            required[part.start : part.end] = 0
            reusable.append(part)
        place([self._moved(part, prompt, layout) for part in reusable], kv.k, kv.v)
        return Work(layout, media, prompt, kv, matched, reusable, required)

    def _moved(self, part: Reusable, prompt: PromptTensors, layout: Layout) -> Stored:
        """What is stored of a medium, to be rotated to where it stands now (or, as a control, stood then)."""
        span = slice(part.start, part.end)
        if self._method.rotates:
            cos, sin = prompt.cos[span], prompt.sin[span]
        else:
            segment = next(segment for segment in layout.segments if segment.end == part.end)
            moved = layout.positions[:, span] - segment.position + part.donor.position
            cos, sin = self._adapter.rotary(moved.to(self._adapter.device))
        return Stored(part.start, part.donor.k[:, :, part.offset :], part.donor.v[:, :, part.offset :], cos, sin)

    def _capture_for(self, work: Work) -> Capture | None:
        """Something to collect keys and values in, when this request is the donor of a medium."""
        if not self._method.uses_kv or self._method.donor_policy != "previous":
            return None
        return Capture(self._probes) if self._lacking(work.media) else None

    def _lacking(self, media: ResolvedMedia) -> list[str]:
        """Media of which the store did not have all that the method keeps, each once.

        A medium that was evicted and computed again inside a stored prefix is held without keys and values.
        """
        held = media.entries
        return [
            key
            for key in dict.fromkeys(media.keys)
            if key not in held or (self._method.uses_kv and held[key].donor is None)
        ]

    def _keep(self, work: Work, result: PrefillResult, capture: Capture | None) -> None:
        """Fill the stores, behind the answer: new media, and the prefix that was computed exactly."""
        layers = self._adapter.shape.layers
        partial = (result.depth[work.prefix_tokens :] < layers).nonzero()
        exact = work.prefix_tokens + int(partial[0]) if len(partial) else work.layout.tokens
        if self._method.uses_encoder_cache:
            self._keep_media(work, result, capture, exact)
        if self._method.uses_prefix and exact > work.prefix_tokens:
            symbols = torch.from_numpy(work.layout.symbols[:exact])
            self._prefixes.put(symbols, work.kv.k[:, :, :exact], work.kv.v[:, :, :exact])
        self._asked.update(work.media.keys)

    def _keep_media(self, work: Work, result: PrefillResult, capture: Capture | None, exact: int) -> None:
        new = set(self._lacking(work.media))
        for segment in work.layout.segments:
            if segment.key not in new:
                continue
            new.discard(segment.key)
            grid, features = work.media.grids[segment.key], work.media.features[segment.key]
            donor = None
            if self._method.uses_kv and self._method.donor_policy != "previous":
                before = self._donor_prefix(segment.grid.kind)
                donor = compile_donor(self._adapter, before, segment, features, self._probes, self._sketch)
            elif capture is not None and bool((result.depth[segment.start : segment.end] > 0).all()):
                donor = donor_from_capture(self._sketch, capture, segment, exact=segment.end <= exact)
            if not self._media.put(segment.key, MediaEntry(grid, features.clone(), donor)):
                self._too_large.add(segment.key)

    def _donor_prefix(self, kind: MediaKind) -> tuple[int, ...]:
        """The text a compiled donor stands after: nothing, or the chat template's own."""
        if self._method.donor_policy == "isolated":
            return ()
        placeholder = Media(kind, b"", "donor")
        return self._adapter.render((Message("user", (placeholder,)),)).texts[0]

    def _fallbacks(self, media: tuple[Media, ...], work: Work) -> tuple[str, ...]:
        """Why media that were sent before had to be computed again; empty for methods that keep nothing."""
        if not self._method.uses_encoder_cache:
            return ()
        names = dict(zip(work.media.keys, (item.name for item in media), strict=True))
        reasons = {True: "is larger than the store's budget", False: "was evicted from the store"}
        beyond = {segment.key for segment in work.layout.segments if segment.end > work.prefix_tokens}
        again = [key for key in self._lacking(work.media) if key in beyond or key not in work.media.entries]
        return tuple(f"{names[key]} {reasons[key in self._too_large]}" for key in again if key in self._asked)

    def _bytes_per_vision_token(self) -> float | None:
        """Everything held, prefixes and probes included, per vision token of the media held; None without media."""
        held = [entry for _, entry in self._lru.items() if isinstance(entry, MediaEntry)]
        tokens = sum(len(entry.features) for entry in held)
        return self._lru.nbytes / tokens if tokens else None


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out: torch has a class for it on a GPU only, on a CPU it is a plain RuntimeError."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
