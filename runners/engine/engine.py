"""The short story: segments -> stores -> plan -> prefill -> first token -> decode -> what is kept."""

from __future__ import annotations

from dataclasses import replace

import torch

from runners.base import Request, Response
from runners.engine.accounting import computed_media, count, demand
from runners.engine.adapters.base import Adapter
from runners.engine.decode import decode
from runners.engine.donors import compile_donor, donor_from_capture
from runners.engine.errors import MediaError, PromptError, PromptTooLong
from runners.engine.first_token import Prefiller
from runners.engine.forward.capture import Capture
from runners.engine.kv.sketch import OutputSketch
from runners.engine.kv.workspace import Workspace
from runners.engine.measure.peak import PeakMeter
from runners.engine.measure.timing import PARTS, TtftClock
from runners.engine.method import Method
from runners.engine.prefill import PrefillResult
from runners.engine.prompt.layout import SymbolTable
from runners.engine.store.entries import MediaEntry
from runners.engine.store.stores import DEVICE, HOST, Allowed, Lookup, Stores
from runners.engine.work import Work
from runners.profile import ModelProfile
from runners.records import Status, Timing
from workloads.records import Media, MediaKind, Message

UNMEASURED = ModelProfile()


class Engine:
    """Answers requests with one method and its own stores.

    Args:
        workspace: memory for the keys and values of the request being answered; engines of one model share it, for
            they answer one after the other.
        budget: bytes that stored media and prefixes may hold together on the device.
        profile: what was measured for the model.
        strict: whether computing what could have been reused fails the request.
        host_budget: bytes that they may hold together on the host; 0 for no host tier.
    """

    def __init__(
        self,
        adapter: Adapter,
        workspace: Workspace,
        method: Method,
        budget: int,
        strict: bool = False,
        profile: ModelProfile = UNMEASURED,
        host_budget: int = 0,
    ) -> None:
        self._adapter, self._workspace, self._method, self._strict = adapter, workspace, method, strict
        self._sketch = OutputSketch(adapter)
        self._prefiller = Prefiller(adapter, workspace, method, profile, self._sketch)
        self._stores = Stores(budget, host_budget, method.prefix_block)
        self._lookup: Lookup = Allowed(self._stores, method.uses_encoder_cache, method.uses_prefix)
        self._symbols = SymbolTable()
        self._asked: set[str] = set()
        self._too_large: set[str] = set()

    def reset(self) -> None:
        """Forget everything stored."""
        self._stores.tiers.clear()
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
        adapter = self._adapter
        held, peak = self._held(), PeakMeter(adapter.device)
        first = self._prefiller.answer(request, self._lookup, self._symbols)
        work, result = first.work, first.result
        if not bool(torch.isfinite(first.logits).all()):
            return Response(
                Status.ERROR, error=f"the model's logits are not finite in {adapter.dtype}: try another --dtype"
            )

        watch = TtftClock(adapter.device)
        token_ids = decode(adapter, work.prompt, work.kv, first.token, request.max_new_tokens)
        decoded, _ = watch.stop()
        fallbacks = self._fallbacks(first.rendered.media, work)
        on_host = None if work.found_on_host else self._stores.on_host(work.media.entries, work.match)
        watch = TtftClock(adapter.device)
        self._keep(work, result, first.capture)
        stored, _ = watch.stop()
        taken = peak.taken()

        host_ttft = first.ttft_ms if work.found_on_host else self._time_again(request, on_host)
        spent = {f"{part}_ms": first.parts.get(part, 0.0) for part in PARTS}
        timing = Timing(
            ttft_ms=first.ttft_ms,
            decode_ms=decoded,
            store_ms=stored,
            host_ttft_ms=host_ttft,
            capture_ms=self._record(),
            **spent,
        )
        cache = replace(
            count(adapter, work, first.plan, result, first.selection_flops),
            stored_bytes=self._stores.tiers.nbytes(DEVICE),
            host_bytes=self._stores.tiers.nbytes(HOST),
            kv_bytes_per_token=self._stores.bytes_per_vision_token(),
            fallbacks=fallbacks,
        )
        if self._strict and fallbacks:
            return Response(Status.REUSE_VIOLATED, timing=timing, cache=cache, error="; ".join(fallbacks))
        return Response(
            Status.OK,
            text=adapter.decode_text(token_ids),
            token_ids=tuple(token_ids),
            first_logits=first.logits.float().cpu().numpy(),
            timing=timing,
            cache=cache,
            computed=computed_media(adapter, work.layout, result),
            demand=demand(adapter, work, result, first.selection_flops),
            peak_bytes=None if taken is None else held + taken,
        )

    def _time_again(self, request: Request, stores: Lookup | None) -> float | None:
        """TTFT with what is reused coming from other ``stores``; None without them, or if memory does not suffice."""
        if stores is None:
            return None
        try:
            return self._prefiller.answer(request, stores, self._symbols).ttft_ms
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            return None

    def _held(self) -> int:
        """Bytes of the model, its workspace and the stores in the device's memory; a CPU's is the host's."""
        tiers = (DEVICE, HOST) if self._adapter.device.type == "cpu" else (DEVICE,)
        stored = sum(self._stores.tiers.nbytes(tier) for tier in tiers)
        return self._adapter.weight_bytes + self._workspace.nbytes + stored

    def _record(self) -> float:
        """Record what this answer computed for the first time; milliseconds."""
        graphs = self._workspace.graphs
        if graphs is None:
            return 0.0
        watch = TtftClock(self._adapter.device)
        graphs.record_pending()
        return watch.stop()[0]

    def _keep(self, work: Work, result: PrefillResult, capture: Capture | None) -> None:
        """Fill the stores, behind the answer: what was fetched, new media, and the prefix that was computed exactly."""
        self._promote(work)
        layers = self._adapter.shape.layers
        partial = (result.depth[work.prefix_tokens :] < layers).nonzero()
        exact = work.prefix_tokens + int(partial[0]) if len(partial) else work.layout.tokens
        if self._method.uses_encoder_cache:
            self._keep_media(work, result, capture, exact)
        if self._method.uses_prefix and exact > work.prefix_tokens:
            symbols = torch.from_numpy(work.layout.symbols[:exact])
            self._stores.prefixes.put(symbols, work.kv.k[:, :, :exact], work.kv.v[:, :, :exact])
        self._asked.update(work.media.keys)

    def _promote(self, work: Work) -> None:
        """Hold on the device, too, what came from the host whole."""
        for key, entry in work.media.entries.items():
            donor = work.fetched.get(key)
            if entry.on_host and (donor is not None or entry.donor is None):
                features = work.media.features[key].clone()
                self._stores.media.promote(key, MediaEntry(entry.grid, features, donor))
        if work.fetched_prefix is not None:
            self._stores.prefixes.promote(work.match, work.fetched_prefix)

    def _keep_media(self, work: Work, result: PrefillResult, capture: Capture | None, exact: int) -> None:
        new = set(work.media.lacking(self._method.uses_kv))
        for segment in work.layout.segments:
            if segment.key not in new:
                continue
            new.discard(segment.key)
            grid, features = work.media.grids[segment.key], work.media.features[segment.key]
            donor = None
            if self._method.uses_kv and self._method.donor_policy != "previous":
                before = self._donor_prefix(segment.grid.kind)
                donor = compile_donor(self._adapter, before, segment, features, self._prefiller.probes, self._sketch)
            elif capture is not None and bool((result.depth[segment.start : segment.end] > 0).all()):
                donor = donor_from_capture(self._sketch, capture, segment, exact=segment.end <= exact)
            if not self._stores.media.put(segment.key, MediaEntry(grid, features.clone(), donor)):
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
        lacking = work.media.lacking(self._method.uses_kv)
        again = [key for key in lacking if key in beyond or key not in work.media.entries]
        return tuple(f"{names[key]} {reasons[key in self._too_large]}" for key in again if key in self._asked)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out: torch has a class for it on a GPU only, on a CPU it is a plain RuntimeError."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
