"""Answers requests: first token, decoding, and behind the answer the stores and the recordings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from runners.base import Request, Response
from runners.engine.accounting import computed_media, count, demand, differences
from runners.engine.adapters.base import Adapter
from runners.engine.adoption import Board, Offer, Pool, PrefillMode, is_shareable
from runners.engine.decode import decode
from runners.engine.errors import DamagedEntry, MediaError, PromptError, PromptTooLong, is_out_of_memory
from runners.engine.first_token import FirstToken, PlannedRequest, Prefiller
from runners.engine.keeping import Keeper, Kept, exact_tokens
from runners.engine.kv.sketch import OutputSketch
from runners.engine.kv.workspace import Workspace
from runners.engine.looks import Looks
from runners.engine.measure.peak import PeakMeter
from runners.engine.measure.timing import PARTS, TtftClock
from runners.engine.method import Method
from runners.engine.parallel import bytes_over_ranks
from runners.engine.prefill import PrefillResult
from runners.engine.prompt.resolve import Encoded
from runners.engine.store.disk.tier import DiskTier
from runners.engine.store.stores import DEVICE, HOST, Allowed, Lookup, Stores
from runners.engine.store.symbols import SymbolTable
from runners.profile import ModelProfile
from runners.records import Status, Timing
from workloads.records import Media, Message

UNMEASURED = ModelProfile()

OpenDisk = Callable[[SymbolTable, tuple[int, ...], int], DiskTier]
"""Makes the disk tier of a runner, given its symbols, the probe layers of its donors, and the width of a sketch."""


class Engine:
    """Answers requests with one method and stores of its own.

    Args:
        workspace: memory for the keys and values of the request being answered; engines of one model share it, for
            they answer one after the other.
        budget: bytes that stored media and prefixes together may take on the device.
        strict: whether a request fails when media that were sent before had to be computed again.
        profile: measured layer sensitivities and probe layers of the model.
        host_budget: bytes that stored media and prefixes together may take on the host; 0 for no host tier.
        disk: makes the tier on disk, given the runner's symbols and what its entries look like; None for none.
        packs: whether keys and values of donors have 8 bits on the host and on disk.
        pool: what engines of one model offer each other of an adoptable request; None where nothing is shared.
        adopts: whether it takes over what others offer; a method that reuses nothing never does: it is timed always.
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
        disk: OpenDisk | None = None,
        packs: bool = False,
        pool: Pool | None = None,
        adopts: bool = True,
    ) -> None:
        self._adapter, self._workspace, self._method, self._strict = adapter, workspace, method, strict
        sketch = OutputSketch(adapter)
        self._looks = Looks()
        self._prefiller = Prefiller(adapter, workspace, method, profile, sketch, self._looks)
        self._symbols = SymbolTable()
        on_disk = None if disk is None else disk(self._symbols, self._prefiller.probes, sketch.width)
        self._has_disk = on_disk is not None
        self._stores = Stores(budget, host_budget, method.prefix_block, on_disk, packs)
        self._keeper = Keeper(adapter, method, self._stores, self._prefiller.probes, sketch)
        self._lookup: Lookup = Allowed(self._stores, method.uses_encoder_cache, method.uses_prefix)
        self._sent_before: set[str] = set()
        self._pool, self._adopts = pool, adopts and method.reuses

    def reset(self) -> None:
        """Forget everything stored in memory."""
        self._symbols.clear()
        self._stores.use_disk(True)
        self._stores.clear()
        self._sent_before.clear()
        self._looks.forget()
        self._keeper.too_large.clear()

    @property
    def primes(self) -> bool:
        """See ``Primer``; what a disk tier has of media is read by answers alone."""
        return self._method.compiles_donors and not self._has_disk

    @torch.inference_mode()
    def prime(self, media: Sequence[Media], kept: Sequence[Media]) -> None:
        """Store the new ones of the media that are ``kept``, with compiled donors, and answer nothing; see ``Primer``.

        The others are shown, too, where they tell how the encoder sees these.
        """
        alike = self._adapter.variant(tuple(kept)) == self._adapter.variant(tuple(media))
        request = Request("", (Message("user", tuple(kept if alike else media)),), max_new_tokens=1)
        try:
            prepared = self._prefiller.plan(request, self._lookup, self._symbols).prepared
            shown = zip(prepared.media.keys, request.messages[0].content, strict=True)
            keys = {key for key, medium in shown if medium in kept}
            self._keeper.keep_primed(prepared, keys)
            self._sent_before.update(keys)
        except (MediaError, PromptTooLong, PromptError):
            return
        except (MemoryError, RuntimeError) as error:
            if not self._is_survivable(error):
                raise
        finally:
            self._stores.release()

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
            if not self._is_survivable(error):
                raise
            return Response(Status.OUT_OF_MEMORY, error=(str(error) or "out of memory").splitlines()[0])

    def _answer(self, request: Request) -> Response:
        self._stores.use_disk(not request.leaves_no_trace)
        board = None if self._pool is None else self._pool.board(request)
        try:
            adopted = self._adopt(request, board) if board is not None and self._adopts else None
            return adopted or self._compute(request, board)
        finally:
            self._stores.release()

    def _adopt(self, request: Request, board: Board) -> Response | None:
        """Take over the answer and the entries of a runner that computed what this one would; None without such."""
        if board.encoded is None:
            return None
        try:
            planned = self._prefiller.plan(request, self._lookup, self._symbols, board.encoded)
        except DamagedEntry as damaged:
            damaged.drop()
            return None
        offer = board.find(planned, self._mode(planned), self._prefiller.probes)
        if offer is None:
            return None
        fallbacks = self._fallbacks(planned)
        self._keeper.keep_adopted(planned, offer, board)
        self._stores.drain()
        self._sent_before.update(planned.prepared.media.keys)
        response = self._respond(planned, offer.result, offer.logits, offer.token_ids, fallbacks)
        return replace(response, adopted=True)

    def _compute(self, request: Request, board: Board | None) -> Response:
        """Answer and time a request, and offer what others may take over."""
        adapter = self._adapter
        allocated, peak = self._allocated(), PeakMeter(adapter.device)
        first = self._first_token(request)
        planned = first.planned
        prepared = planned.prepared
        if not bool(torch.isfinite(first.logits).all()):
            return Response(
                Status.ERROR, error=f"the model's logits are not finite in {adapter.dtype}: try another --dtype"
            )

        repair, looked = planned.plan.repair, planned.context.selection_flops > 0
        watch = TtftClock(adapter.device)
        first, token_ids = self._continue(first, request.max_new_tokens)
        decoded, _ = watch.stop()
        planned = first.planned
        fallbacks = self._fallbacks(planned)
        self._stores.keep_read(prepared.media.entries, prepared.match)
        on_host = None if prepared.found_on_host else self._stores.on_host(prepared.media.entries, prepared.match)
        on_disk = self._stores.on_disk(prepared.media.entries, prepared.match)
        watch = TtftClock(adapter.device)
        kept = self._keep(first)
        self._stores.drain()
        stored, _ = watch.stop()
        taken = peak.taken()
        if board is not None:
            self._offer(board, first, token_ids, kept)

        host_ttft = first.ttft_ms if prepared.found_on_host else self._time_again(request, on_host)
        disk_ttft = self._time_again(request, on_disk)
        self._looks.note(repair, looked)
        spent = {f"{part}_ms": first.parts.get(part, 0.0) for part in PARTS}
        timing = Timing(
            ttft_ms=first.ttft_ms,
            decode_ms=decoded,
            store_ms=stored,
            host_ttft_ms=host_ttft,
            disk_ttft_ms=None if on_disk is None or on_disk.lacks else disk_ttft,
            capture_ms=self._record(),
            **spent,
        )
        response = self._respond(planned, first.result, first.logits, token_ids, fallbacks)
        peak_bytes = bytes_over_ranks(None if taken is None else allocated + taken)
        return replace(response, timing=timing, peak_bytes=peak_bytes if response.status is Status.OK else None)

    def _continue(self, first: FirstToken, limit: int) -> tuple[FirstToken, tuple[int, ...]]:
        """Decode up to ``limit`` tokens; everything reused is computed before a token that is in doubt."""
        prompt, kv, plan = first.planned.prepared.prompt, first.planned.prepared.kv, first.planned.plan
        continued = decode(self._adapter, prompt, kv, [first.token], limit, plan.least_margin)
        if continued.in_doubt:
            first = self._prefiller.compute_everything(first)
            continued = decode(self._adapter, prompt, kv, continued.tokens, limit)
        return first, continued.tokens

    def _first_token(self, request: Request) -> FirstToken:
        """Compute the first token; where an entry turns out to be damaged, without it, in one and the same time.

        The second time entries are read whole before anything is computed, so that there is no third.
        """
        clock = TtftClock(self._adapter.device)
        try:
            return self._prefiller.answer(request, self._lookup, self._symbols, clock)
        except DamagedEntry as damaged:
            damaged.drop()
        clock.cut("load")
        with self._stores.reading_whole():
            return self._prefiller.answer(request, self._lookup, self._symbols, clock)

    def _respond(
        self,
        planned: PlannedRequest,
        result: PrefillResult,
        logits: Tensor,
        token_ids: tuple[int, ...],
        fallbacks: tuple[str, ...],
    ) -> Response:
        """Make the response, but for its times and its peak, when the stores are filled."""
        adapter, prepared, selection = self._adapter, planned.prepared, planned.context.selection_flops
        parts, per_token = adapter.shape.parts, self._stores.bytes_per_vision_token()
        cache = replace(
            count(adapter, prepared, planned.plan, result, selection),
            stored_bytes=self._stores.tiers.nbytes(DEVICE) * parts,
            host_bytes=self._stores.tiers.nbytes(HOST) * parts,
            kv_bytes_per_token=None if per_token is None else per_token * parts,
        )
        fallbacks += differences(cache, prepared, result, self._method.rotates)
        cache = replace(cache, fallbacks=fallbacks)
        if self._strict and fallbacks:
            return Response(Status.REUSE_VIOLATED, cache=cache, error="; ".join(fallbacks))
        return Response(
            Status.OK,
            text=adapter.decode_text(list(token_ids)),
            token_ids=token_ids,
            first_logits=logits.float().cpu().numpy(),
            cache=cache,
            computed=computed_media(adapter, prepared.layout, result),
            demand=demand(adapter, prepared, result, selection),
            repair=planned.plan.repair,
        )

    def _mode(self, planned: PlannedRequest) -> PrefillMode:
        return PrefillMode(self._prefiller.is_donor(planned.prepared.media), self._method.prefill_chunk)

    def _offer(self, board: Board, first: FirstToken, token_ids: tuple[int, ...], kept: Kept) -> None:
        """Offer what was computed, if it depends on nothing that only this runner has."""
        planned, prepared = first.planned, first.planned.prepared
        tokens = prepared.layout.tokens
        exact = exact_tokens(prepared, planned.plan, first.result, self._adapter.shape.layers)
        if not is_shareable(planned) or exact < tokens:
            return
        k, v = prepared.kv.k[:, :, :tokens], prepared.kv.v[:, :, :tokens]
        stored = kept.prefix
        if stored is not None and stored.k.device == k.device and torch.equal(stored.k, k) and torch.equal(stored.v, v):
            k, v = stored.k, stored.v
        else:
            k, v = k.clone(), v.clone()
        features = {
            key: kept.features[key] if key in kept.features else made.clone()
            for key, made in prepared.media.features.items()
        }
        mode = self._mode(planned)
        offer = Offer(
            mode=mode,
            depth=planned.plan.depth,
            prefix_tokens=prepared.prefix_tokens,
            k=k,
            v=v,
            probes=self._prefiller.probes,
            donors=kept.donors if mode.captures else {},
            result=first.result,
            logits=first.logits,
            token_ids=token_ids,
        )
        board.offer(offer, Encoded(prepared.media.grids, features))
        self._keeper.offer_compiled(kept.donors, board)

    def _keep(self, first: FirstToken) -> Kept:
        """Fill the stores."""
        kept = self._keeper.keep(first)
        self._sent_before.update(first.planned.prepared.media.keys)
        return kept

    def _time_again(self, request: Request, stores: Lookup | None) -> float | None:
        """Measure TTFT once more, reading from ``stores``; None without them, with damaged ones, or out of memory."""
        if stores is None:
            return None
        try:
            return self._prefiller.answer(request, stores, self._symbols).ttft_ms
        except DamagedEntry as damaged:
            damaged.drop()
            return None
        except (MemoryError, RuntimeError) as error:
            if not self._is_survivable(error):
                raise
            return None

    def _is_survivable(self, error: BaseException) -> bool:
        """Whether memory ran out here; not where other processes then wait in the middle of a layer."""
        return is_out_of_memory(error) and self._adapter.shape.parts == 1

    def _allocated(self) -> int:
        """Bytes of weights, workspace, recordings and stores in the device's memory, which for a CPU is the host's."""
        tiers = (DEVICE, HOST) if self._adapter.device.type == "cpu" else (DEVICE,)
        stored = sum(self._stores.tiers.nbytes(tier) for tier in tiers)
        graphs = self._workspace.graphs
        recorded = 0 if graphs is None else graphs.nbytes
        return self._adapter.weight_bytes + self._workspace.nbytes + recorded + stored

    def _record(self) -> float:
        """Record the work of sizes that this answer computed for the first time; milliseconds that it took."""
        graphs = self._workspace.graphs
        if graphs is None:
            return 0.0
        watch = TtftClock(self._adapter.device)
        graphs.record_pending()
        return watch.stop()[0]

    def _fallbacks(self, planned: PlannedRequest) -> tuple[str, ...]:
        """Say why media that were sent before had to be computed again; empty for methods that store nothing."""
        if not self._method.uses_encoder_cache:
            return ()
        prepared = planned.prepared
        names = dict(zip(prepared.media.keys, (item.name for item in planned.rendered.media), strict=True))
        reasons = {True: "is larger than the store's budget", False: "was evicted from the store"}
        after_prefix = {segment.key for segment in prepared.layout.segments if segment.end > prepared.prefix_tokens}
        lacking = prepared.media.lacking(self._method.uses_kv)
        again = [key for key in lacking if key in after_prefix or key not in prepared.media.entries]
        return tuple(
            f"{names[key]} {reasons[key in self._keeper.too_large]}" for key in again if key in self._sent_before
        )
