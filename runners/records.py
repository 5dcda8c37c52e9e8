"""Records of answered requests: status, times, reuse, work, answer. No torch here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from itertools import groupby
from typing import Annotated, Any, Self

from annotated_types import Interval

from workloads.errors import UsageError
from workloads.reading import brief, check, keys, parse_json, read_json

MOST_TOKENS = 1 << 22
MOST, LARGEST = 1 << 62, 1e30

Count = Annotated[int, Interval(ge=0, le=MOST)]
Share = Annotated[float, Interval(ge=0, le=1)]
Number = Annotated[float, Interval(ge=-LARGEST, le=LARGEST)]  # sums and ratios of what a file says stay finite


class Status(StrEnum):
    """How a request ended. Answers exist only for ``OK``, times and counts also for ``REUSE_VIOLATED``."""

    OK = "ok"
    BAD_MEDIA = "bad-media"
    PROMPT_TOO_LONG = "prompt-too-long"
    OUT_OF_MEMORY = "out-of-memory"
    REUSE_VIOLATED = "reuse-violated"
    ERROR = "error"


class Warmth(StrEnum):
    """Whether all, some or none of a request's media were sent before in the stream."""

    COLD = "cold"
    PARTIAL = "partial"
    WARM = "warm"


def ttft_part(meaning: str) -> dict[str, str]:
    """Metadata of a field of ``Timing`` that is a part of the time to first token; ``meaning`` explains it briefly."""
    return {"meaning": meaning}


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds. The parts are disjoint and add up to ``ttft_ms``; what comes after it stands apart.

    Attributes:
        ttft_ms: from handing over encoded bytes and text until the first output token is on the host.
        prepare_ms: hashing media, rendering and tokenising the prompt, looking up stores; under load waiting, too.
        preprocess_ms: decoding media files and making pixels of them.
        encode_ms: the vision encoder.
        load_ms: placing reused K, V: gathering, rotating, copying.
        select_ms: choosing the tokens to recompute, as far as it is separate work.
        prefill_ms: the language model's layers.
        head_ms: final norm, head, argmax, and the token's way to the host.
        decode_ms: the tokens after the first.
        store_ms: filling the stores behind the answer, drained before the next request.
        host_ttft_ms: TTFT with everything that is reused coming from the host tier: of this answer, or else of a second
            one up to its first token; None when nothing is reused, the host tier lacks some of it, or the device has no
            room for both.
        disk_ttft_ms: the same with all of it read from the disk tier, always in a second pass, and the system asked to
            drop what it holds of the files in memory before; None as there, or without a disk tier.
        capture_ms: recording CUDA graphs behind the answer, for requests to come; see ``runners.engine.graphs``.
        warmup_ms: what the runner spent before the stream began, recording included; told with its first answer.
        queue_ms: of ``prepare_ms``, waiting for its turn before the engine; None where requests come one by one.

    Of a server only ``ttft_ms`` and ``decode_ms`` are known.
    """

    ttft_ms: Number
    prepare_ms: Number | None = field(default=None, metadata=ttft_part("hashing, prompt, look-up"))
    preprocess_ms: Number | None = field(default=None, metadata=ttft_part("files to pixels"))
    encode_ms: Number | None = field(default=None, metadata=ttft_part("vision encoder"))
    load_ms: Number | None = field(default=None, metadata=ttft_part("placing stored K, V"))
    select_ms: Number | None = field(default=None, metadata=ttft_part("choosing tokens"))
    prefill_ms: Number | None = field(default=None, metadata=ttft_part("language model"))
    head_ms: Number | None = field(default=None, metadata=ttft_part("first token"))
    decode_ms: Number = 0.0
    store_ms: Number | None = None
    host_ttft_ms: Number | None = None
    disk_ttft_ms: Number | None = None
    capture_ms: Number = 0.0
    warmup_ms: Number = 0.0
    queue_ms: Number | None = None

    @classmethod
    def parts(cls) -> dict[str, str]:
        """The parts of the time to first token, ``prepare`` and so on, in order, and what each of them means."""
        declared = [entry for entry in fields(cls) if "meaning" in entry.metadata]
        return {entry.name.removesuffix("_ms"): entry.metadata["meaning"] for entry in declared}


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What was asked of the stores, what was reused and what was computed.

    Token-layers count a token once for each layer in which its K, V were projected.

    Attributes:
        media: media in the prompt, repeats counted.
        media_hits: of these, served with encoder output or K, V from before.
        encoder_hits: media whose encoder output was not computed.
        kv_hits: media of which some vision token's K, V were reused.
        prompt_tokens, vision_tokens: tokens of the prompt, and those of them that stand for media.
        prefix_tokens: tokens taken over with an exactly equal prefix.
        planned_token_layers, computed_token_layers: of vision tokens, as planned and as executed.
        layers: decoder layers of the model.
        flops, full_flops: executed, selection included, and what full recomputation takes, encoder included.
        stored_bytes: bytes of the stores on the device after the request.
        kv_bytes_per_token: bytes stored per vision token, everything a method keeps counted; None when nothing is.
        fallbacks: why something that could have been reused was computed.
        host_bytes: bytes of the stores on the host after the request.
        loaded_tokens: vision tokens whose stored K, V were put in place, with an equal prefix or by medium.
        rotated_tokens: of those put in place by medium, the ones whose keys were rotated to their new positions.
    """

    media: Count
    media_hits: Count
    encoder_hits: Count
    kv_hits: Count
    prompt_tokens: Count
    vision_tokens: Count
    prefix_tokens: Count
    planned_token_layers: Count
    computed_token_layers: Count
    layers: Count
    flops: Number
    full_flops: Number
    stored_bytes: Count
    kv_bytes_per_token: Number | None
    fallbacks: tuple[str, ...] = ()
    host_bytes: Count = 0
    loaded_tokens: Count = 0
    rotated_tokens: Count = 0


@dataclass(frozen=True, slots=True)
class Demand:
    """What the executed work asks of a device at least, by the parts of ``Timing``: operations and bytes moved.

    Attributes:
        encode_flops: of the vision encoder.
        load_bytes: reused keys and values, read and written once.
        select_flops: of choosing tokens.
        prefill_flops, prefill_bytes: of the layers; every layer's weights and all keys and values are read once.
        head_flops, head_bytes: of the output head for one token.
        fetch_bytes: stored keys and values that come from the host's memory.
    """

    encode_flops: Number
    load_bytes: Number
    select_flops: Number
    prefill_flops: Number
    prefill_bytes: Number
    head_flops: Number
    head_bytes: Number
    fetch_bytes: Number = 0.0


@dataclass(frozen=True, slots=True)
class ComputedMedium:
    """Which vision tokens of one medium of a prompt were computed, and how deep.

    Attributes:
        frames, rows, columns: the grid that its tokens form, row by row and frame by frame; all 0 where they form none,
            as with tiles, or with separators between them.
        layers: in how many layers each token was computed, in order, as run lengths: ``0*96,8*4``.
    """

    frames: Count
    rows: Count
    columns: Count
    layers: str

    @classmethod
    def of(cls, grid: tuple[int, int, int], depths: Sequence[int]) -> ComputedMedium:
        """Encode the number of layers of every token; ``grid`` is left out where it does not fit their number."""
        fits = grid if math.prod(grid) == len(depths) else (0, 0, 0)
        runs = (f"{depth}*{len(list(run))}" for depth, run in groupby(depths))
        return cls(*fits, ",".join(runs))

    def depths(self) -> list[int]:
        """Decode the number of layers of every token; ValueError where ``layers`` is no such list, or absurdly long."""
        found: list[int] = []
        for run in filter(None, self.layers.split(",")):
            depth, _, count = run.partition("*")
            if len(found) + int(count) > MOST_TOKENS:
                raise ValueError(f"more than {MOST_TOKENS} tokens of one medium")
            found += [int(depth)] * int(count)
        return found


@dataclass(frozen=True, slots=True)
class Repair:
    """What a method that estimates its risk decided in a request.

    Attributes:
        share: of the vision tokens that it set out to compute: 0 keeps what is stored, 1 computes everything.
        risk: estimated probability that the answer changes; None where the level was given, not chosen.
        unlike: whether the request is unlike those of the calibration, so that everything is computed.
        in_doubt: whether a token of the answer was in doubt, so that everything was computed after all.
        skipped: whether everything was computed without an estimate, since those before saved nothing.
    """

    share: Number
    risk: Number | None
    unlike: bool = False
    in_doubt: bool = False
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Served:
    """What a server told of a request, and of its caches around it; None is what it did not tell.

    Attributes:
        state: in which the caches were meant to be: ``stream`` (none in particular), ``cold``, ``same-image`` or
            ``repeat``; see ``runners.endpoint.options``.
        checked: whether what it told was enough to check that.
        invalid: what was wrong with the state: then the record is no evidence for anything.
        media: media in the prompt.
        prompt_tokens, output_tokens: as the server counts them.
        cached_tokens: tokens of the prompt that it says it took from a cache, with the answer.
        prefix_tokens: the same by its counters: tokens found as an equal prefix.
        preprocessing_hits, encoder_hits: media that were not preprocessed, or not encoded, again.
        kv_tokens: tokens whose keys and values came from another store than the device's prefix cache.
        finish_reason: why the answer ended.
        unseen_mass: probability that the reference gave to first tokens that were not both told; ``kl`` is then a
            lower bound. None where log-probabilities were not compared.
    """

    state: str
    checked: bool
    invalid: str | None = None
    media: Count = 0
    prompt_tokens: Count | None = None
    output_tokens: Count | None = None
    cached_tokens: Count | None = None
    prefix_tokens: Count | None = None
    preprocessing_hits: Count | None = None
    encoder_hits: Count | None = None
    kv_tokens: Count | None = None
    finish_reason: str | None = None
    unseen_mass: Number | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """When a request was sent and answered, of those that arrive while others are answered.

    Attributes:
        due_ms: when it was to be sent, since the first.
        lag_ms: how much later the client sent it.
        e2e_ms: from being sent to the end of its answer.
    """

    due_ms: Number
    lag_ms: Number
    e2e_ms: Number


def record_key(workload: str, request: str, runner: str) -> str:
    """Make the key that identifies a record in a run."""
    return f"{workload}/{request}/{runner}"


@keys(unknown="ignore")
@dataclass(frozen=True, slots=True)
class Record:
    """One request answered by one runner: a line of ``records.jsonl``.

    Attributes:
        key: unique in a run: ``workload/request/runner``.
        cluster_id: requests of one cluster share media: they are not independent.
        order: place of this runner among the runners of the request.
        recurring_media: media of the prompt that the stream had sent before.
        content_share: share of the vision area that carries content; None when the workload does not know.
        score: 0..1 by the metric of the answer, never a guess; a failed request scores 0, one without gold None.
        kl: first-token KL(reference || runner) in nats; None when either has no answer.
        agrees: whether the answer equals the reference's; None when the reference has none.
        parse_failed: whether the metric could not read the answer, which then scores 0.
        official_score: 0..1, what the official scorer gives where that differs in kind, by guessing say.
        computed: of each medium of the prompt, in order, what was computed; empty when nothing is known of it.
        demand: what the work asked of the device; None when nothing is known of it.
        peak_bytes: of the model, this runner's stores and what the request took besides, at its peak; None where the
            device does not tell.
        repair: what was decided; None of methods that estimate no risk.
        adopted: whether answer, counts and what was stored were taken over from another runner, which computed the
            same; then there are no times and no peak.
        served: what a server told; None of methods of the built-in engine.
        load: when it was sent and answered; None where requests come one by one.
        node: the machine of a cluster that answered it, as all runners' records of the request were; None of this one.
    """

    key: str
    workload: str
    request: str
    runner: str
    cluster_id: str
    family: str
    order: Count
    warmth: Warmth
    recurring_media: Count
    content_share: Share | None
    status: Status
    error: str | None
    answer: str | None
    gold: tuple[str, ...]
    token_ids: tuple[Count, ...]
    score: Share | None
    kl: Number | None = None
    agrees: bool | None = None
    timing: Timing | None = None
    cache: CacheStats | None = None
    parse_failed: bool = False
    official_score: Share | None = None
    computed: tuple[ComputedMedium, ...] = ()
    demand: Demand | None = None
    peak_bytes: Count | None = None
    repair: Repair | None = None
    adopted: bool = False
    served: Served | None = None
    load: Load | None = None
    node: str | None = None
    schema: int = field(default=1)

    @property
    def invalid(self) -> str | None:
        """Why the record is no evidence: a server's caches were not in the state that it is named for."""
        return None if self.served is None else self.served.invalid

    def unjudged(self) -> Record:
        """Drop the judgement of the answer, which means nothing where the weights are random."""
        return replace(self, score=None, official_score=None, parse_failed=False, kl=None, agrees=None)

    def to_json(self) -> dict[str, Any]:
        """Plain types for one JSON line."""
        return asdict(self)

    @classmethod
    def read(cls, line: bytes) -> Self:
        """Rebuild a record from its line; UsageError when it is no JSON, or as for ``from_json``."""
        with suppress(UsageError):
            record = read_json(line, cls)
            if record.schema == 1:
                return record
        return cls.from_json(parse_json(line))  # slower, and says what is wrong

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Rebuild a record; UsageError when it is of another schema, or a field is missing or of another type."""
        schema = data.get("schema", 1) if isinstance(data, dict) else 1
        if schema != 1:
            raise UsageError(f"record schema {brief(schema)} is not supported, expected 1")
        return check(data, cls)
