"""Answers requests: first token, decoding, and behind the answer the stores and the recordings."""

from __future__ import annotations

from dataclasses import replace

import torch

from runners.base import Request, Response
from runners.engine.accounting import computed_media, count, demand
from runners.engine.adapters.base import Adapter
from runners.engine.decode import decode
from runners.engine.donors import compile_donor, donor_from_capture
from runners.engine.errors import MediaError, PromptError, PromptTooLong, is_out_of_memory
from runners.engine.first_token import FirstToken, Prefiller
from runners.engine.forward.capture import Capture
from runners.engine.kv.sketch import OutputSketch
from runners.engine.kv.workspace import Workspace
from runners.engine.measure.peak import PeakMeter
from runners.engine.measure.timing import PARTS, TtftClock
from runners.engine.method import Method
from runners.engine.plan import Plan
from runners.engine.prefill import PrefillResult
from runners.engine.prepared import PreparedRequest
from runners.engine.prompt.layout import SymbolTable
from runners.engine.store.entries import MediaEntry
from runners.engine.store.stores import DEVICE, HOST, Allowed, Lookup, Stores
from runners.profile import ModelProfile
from runners.records import Status, Timing
from workloads.records import Media, MediaKind, Message

UNMEASURED = ModelProfile()


class Engine:
    """Answers requests with one method and stores of its own.

    Args:
        workspace: memory for the keys and values of the request being answered; engines of one model share it, for
            they answer one after the other.
        budget: bytes that stored media and prefixes together may take on the device.
        strict: whether a request fails when media that were sent before had to be computed again.
        profile: measured layer sensitivities and probe layers of the model.
        host_budget: bytes that stored media and prefixes together may take on the host; 0 for no host tier.
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
        self._sent_before: set[str] = set()
        self._too_large: set[str] = set()

    def reset(self) -> None:
        """Forget everything stored."""
        self._stores.tiers.clear()
        self._symbols = SymbolTable()
        self._sent_before.clear()
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
            if not is_out_of_memory(error):
                raise
            return Response(Status.OUT_OF_MEMORY, error=(str(error) or "out of memory").splitlines()[0])

    def _answer(self, request: Request) -> Response:
        adapter = self._adapter
        allocated, peak = self._allocated(), PeakMeter(adapter.device)
        first = self._prefiller.answer(request, self._lookup, self._symbols)
        prepared, result = first.prepared, first.result
        if not bool(torch.isfinite(first.logits).all()):
            return Response(
                Status.ERROR, error=f"the model's logits are not finite in {adapter.dtype}: try another --dtype"
            )

        watch = TtftClock(adapter.device)
        token_ids = decode(adapter, prepared.prompt, prepared.kv, first.token, request.max_new_tokens)
        decoded, _ = watch.stop()
        fallbacks = self._fallbacks(first.rendered.media, prepared)
        on_host = None if prepared.found_on_host else self._stores.on_host(prepared.media.entries, prepared.match)
        watch = TtftClock(adapter.device)
        self._keep(prepared, first)
        stored, _ = watch.stop()
        taken = peak.taken()

        host_ttft = first.ttft_ms if prepared.found_on_host else self._time_again(request, on_host)
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
            count(adapter, prepared, first.plan, result, first.selection_flops),
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
            computed=computed_media(adapter, prepared.layout, result),
            demand=demand(adapter, prepared, result, first.selection_flops),
            peak_bytes=None if taken is None else allocated + taken,
            repair=first.plan.repair,
        )

    def _time_again(self, request: Request, stores: Lookup | None) -> float | None:
        """Measure TTFT once more, reading entries from ``stores``; None without them, or when memory runs out."""
        if stores is None:
            return None
        try:
            return self._prefiller.answer(request, stores, self._symbols).ttft_ms
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            return None

    def _allocated(self) -> int:
        """Bytes of weights, workspace and stores in the device's memory, which for a CPU is the host's."""
        tiers = (DEVICE, HOST) if self._adapter.device.type == "cpu" else (DEVICE,)
        stored = sum(self._stores.tiers.nbytes(tier) for tier in tiers)
        return self._adapter.weight_bytes + self._workspace.nbytes + stored

    def _record(self) -> float:
        """Record the work of sizes that this answer computed for the first time; milliseconds that it took."""
        graphs = self._workspace.graphs
        if graphs is None:
            return 0.0
        watch = TtftClock(self._adapter.device)
        graphs.record_pending()
        return watch.stop()[0]

    def _keep(self, prepared: PreparedRequest, first: FirstToken) -> None:
        """Fill the stores: promote fetched entries, put new media, and put the prefix that was computed exactly."""
        self._promote(prepared)
        exact = _exact_tokens(prepared, first.plan, first.result, self._adapter.shape.layers)
        if self._method.uses_encoder_cache:
            self._keep_media(prepared, first.result, first.capture, exact)
        if self._method.uses_prefix and exact > prepared.prefix_tokens:
            symbols = torch.from_numpy(prepared.layout.symbols[:exact])
            self._stores.prefixes.put(symbols, prepared.kv.k[:, :, :exact], prepared.kv.v[:, :, :exact])
        self._sent_before.update(prepared.media.keys)

    def _promote(self, prepared: PreparedRequest) -> None:
        """Put entries that were fetched from the host into the device tier again, if all of their tensors were."""
        for key, entry in prepared.media.entries.items():
            donor = prepared.fetched.get(key)
            if entry.on_host and (donor is not None or entry.donor is None):
                features = prepared.media.features[key].clone()
                self._stores.media.promote(key, MediaEntry(entry.grid, features, donor))
        if prepared.fetched_prefix is not None:
            self._stores.prefixes.promote(prepared.match, prepared.fetched_prefix)

    def _keep_media(
        self, prepared: PreparedRequest, result: PrefillResult, capture: Capture | None, exact: int
    ) -> None:
        """Put an entry for each medium that has none, with a donor if the method reuses keys and values.

        Args:
            exact: length of the prefix that was computed exactly, in tokens.
        """
        new = set(prepared.media.lacking(self._method.uses_kv))
        for segment in prepared.layout.segments:
            if segment.key not in new:
                continue
            new.discard(segment.key)
            grid, features = prepared.media.grids[segment.key], prepared.media.features[segment.key]
            donor = None
            if self._method.uses_kv and self._method.donor_policy != "previous":
                before = self._donor_prefix(segment.grid.kind)
                donor = compile_donor(self._adapter, before, segment, features, self._prefiller.probes, self._sketch)
            elif capture is not None and bool((result.depth[segment.start : segment.end] > 0).all()):
                donor = donor_from_capture(self._sketch, capture, segment, exact=segment.end <= exact)
            if not self._stores.media.put(segment.key, MediaEntry(grid, features.clone(), donor)):
                self._too_large.add(segment.key)

    def _donor_prefix(self, kind: MediaKind) -> tuple[int, ...]:
        """Token ids before the medium in a compiled donor: none, or those of the chat template."""
        if self._method.donor_policy == "isolated":
            return ()
        placeholder = Media(kind, b"", "donor")
        return self._adapter.render((Message("user", (placeholder,)),)).texts[0]

    def _fallbacks(self, media: tuple[Media, ...], prepared: PreparedRequest) -> tuple[str, ...]:
        """Say why media that were sent before had to be computed again; empty for methods that store nothing."""
        if not self._method.uses_encoder_cache:
            return ()
        names = dict(zip(prepared.media.keys, (item.name for item in media), strict=True))
        reasons = {True: "is larger than the store's budget", False: "was evicted from the store"}
        after_prefix = {segment.key for segment in prepared.layout.segments if segment.end > prepared.prefix_tokens}
        lacking = prepared.media.lacking(self._method.uses_kv)
        again = [key for key in lacking if key in after_prefix or key not in prepared.media.entries]
        return tuple(f"{names[key]} {reasons[key in self._too_large]}" for key in again if key in self._sent_before)


def _exact_tokens(prepared: PreparedRequest, plan: Plan, result: PrefillResult, layers: int) -> int:
    """Count the leading tokens whose keys and values are those of full recomputation, in all layers.

    Tokens behind a reusable one that were rehearsed are not: it was still stale, whatever was computed of it later.
    """
    inexact = result.depth < layers
    if plan.rehearsed is not None and prepared.reusable:
        behind = prepared.reusable[0].start
        inexact[behind:] |= plan.rehearsed[behind:]
    found = inexact[prepared.prefix_tokens :].nonzero()
    return prepared.prefix_tokens + int(found[0]) if len(found) else prepared.layout.tokens
