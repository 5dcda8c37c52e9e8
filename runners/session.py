"""Serves one request stream through several runners, interleaved request by request, and yields records.

For every request the runners answer in a seeded random order, each from the same history (the gold answers, else the
reference's) and with stores of its own; all runners see every request, so machine drift and cache warmth hit all alike.

Cold requests may be adopted: a runner takes over what another computed, if it would compute the same. Not so the first
few of a stream, which every runner computes, so that its cold times and the cost of storing are measured.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from runners.base import Request, Response, Runner, primer
from runners.divergence import kl_divergence
from runners.endpoint.first_tokens import divergence_of_returned
from runners.records import Record, Status, Warmth, record_key
from workloads.judgement import Judgement
from workloads.records import NO_REPLIES, Answer, Conversation, Media, Message, Turn, media_in
from workloads.scoring import judge
from workloads.seeding import stream

COMPUTED_BY_ALL = 3
"""Cold requests of a stream that every runner computes; those after them may be adopted."""


@dataclass(frozen=True)
class SessionOptions:
    """How a stream is served.

    Attributes:
        reference: label of the runner that the others are compared with.
        seed: of the order of the runners.
        max_new_tokens: per answer.
        warmup: requests answered first and not counted; the stores forget them.
        not_warmed: labels of the runners that could not forget them, and get none.
        cold_before: cold requests of the same workload that the runners answered before this stream.
        spares: whether cold requests, in which no answer can differ, are not answered where nobody needs the reply: not
            by a reference that stores nothing, unless another runner failed; nor by a ``Primer``, which stores those of
            their media that come back, unless later requests share their exact prefix.
    """

    reference: str
    seed: int
    max_new_tokens: int
    warmup: int
    not_warmed: frozenset[str] = frozenset()
    cold_before: int = 0
    spares: bool = False

    def asks(self, runner: Runner, item: StreamRequest) -> bool:
        """Whether a runner is asked a request, all others having answered it."""
        stores = primer(runner) is not None
        is_needless = not item.prefix_returns if stores else runner.label == self.reference
        return not (self.spares and item.is_spared and is_needless)


class Watch(Protocol):
    """What decides, while a stream is served, which runners are still asked."""

    def asks(self, label: str) -> bool:
        """Whether a runner gets the next request. The reference is asked as long as anybody is."""
        ...

    def note(self, record: Record) -> None:
        """Every record in the order of the stream, those of an earlier part of the run included."""
        ...


@dataclass(frozen=True)
class StreamRequest:
    """A request and what the stream says about it.

    Attributes:
        cold_before: cold requests before it.
        begins_another: whether a later request begins with the same text and first medium.
    """

    conversation: Conversation
    turn_index: int
    media: tuple[Media, ...]
    warmth: Warmth
    recurring: int
    cold_before: int
    begins_another: bool = False

    @property
    def turn(self) -> Turn:
        """The turn that is answered."""
        return self.conversation.turns[self.turn_index]

    @property
    def is_spared(self) -> bool:
        """Whether nobody needs the answer: nothing is compared, and a history that it is in has a gold one."""
        return self.warmth is Warmth.COLD and (self.turn.answer.has_gold or self.is_last_turn)

    @property
    def is_last_turn(self) -> bool:
        """Whether the conversation ends with it."""
        return self.turn_index == len(self.conversation.turns) - 1

    @property
    def prefix_returns(self) -> bool:
        """Whether an exact prefix of it comes back, with the next turn or with another request."""
        return self.begins_another or not self.is_last_turn

    @property
    def adoptable(self) -> bool:
        """Whether runners may take over from each other what they would compute alike."""
        return self.warmth is Warmth.COLD and self.cold_before >= COMPUTED_BY_ALL

    def request(self, replies: Mapping[str, str], max_new_tokens: int, adoptable: bool = False) -> Request:
        """Make the request for the runners, with ``replies`` in the history where there is no gold answer."""
        return Request(self.turn.id, self.conversation.prompt(self.turn_index, replies), max_new_tokens, adoptable)


def serve(
    workload: str,
    conversations: Sequence[Conversation],
    runners: Sequence[Runner],
    options: SessionOptions,
    finished: Mapping[str, Record],
    watch: Watch | None = None,
) -> Iterator[Record]:
    """Yield a record for every request and runner that ``finished`` does not have.

    Finished requests are answered again, untimed and unrecorded, so that every store is as it was in the run that
    was broken off. Order and records depend on the options alone, not on where a run was broken off. A runner that
    ``watch`` asks no more is forgotten, its stores with it; the stream ends when no runner is asked.
    """
    asked = list(requests_of(turns_of(conversations), options.cold_before))
    earlier = [
        finished.get(record_key(workload, item.turn.id, runner.label))
        for item in asked
        for runner in runners
        if options.asks(runner, item)
    ]
    if None not in earlier:
        if watch is not None:
            for record in filter(None, earlier):
                watch.note(record)
        return
    spent = warm_up(asked[: options.warmup], runners, options)
    returning = {_identity(medium) for item in asked if item.warmth is not Warmth.COLD for medium in item.media}
    replies: dict[str, str] = {}
    dropped: set[str] = set()
    for item in asked:
        if watch is not None:
            for runner in runners:
                if runner.label not in dropped and not watch.asks(runner.label):
                    dropped.add(runner.label)
                    runner.reset()
            if options.reference in dropped:
                return
        request = item.request(replies, options.max_new_tokens, item.adoptable)
        order = stream("bench", "order", options.seed, workload, item.turn.id).permutation(len(runners))
        places = [int(index) for index in order if runners[index].label not in dropped]
        spared = [index for index in places if not options.asks(runners[index], item)]
        responses = {runners[index].label: runners[index].answer(request) for index in places if index not in spared}
        if any(response.status is not Status.OK for response in responses.values()):
            responses |= {runners[index].label: runners[index].answer(request) for index in spared}
        else:
            come_back = [medium for medium in item.media if _identity(medium) in returning]
            for priming in filter(None, (primer(runners[index]) for index in spared if come_back)):
                priming.prime(item.media, come_back)
        places = [index for index in places if runners[index].label in responses]
        reference = responses.get(options.reference)
        replies[item.turn.id] = "" if reference is None else reference.text or ""
        for place, index in enumerate(places):
            label = runners[index].label
            known = finished.get(record_key(workload, item.turn.id, label))
            if known is not None and watch is not None:
                watch.note(known)
            if known is None:
                record = make_record(workload, item, label, place, responses[label], reference)
                if item is asked[0] and record.timing is not None:
                    record = replace(record, timing=replace(record.timing, warmup_ms=spent[label]))
                yield record
                if watch is not None:
                    watch.note(record)


def warm_up(asked: Sequence[StreamRequest], runners: Sequence[Runner], options: SessionOptions) -> dict[str, float]:
    """Answer some requests twice, once cold and once warm, and forget them; milliseconds that each runner took."""
    spent: dict[str, float] = {}
    for runner in runners:
        start = time.perf_counter()
        runner.reset()
        for item in [*asked, *asked] if runner.label not in options.not_warmed else []:
            runner.answer(replace(item.request(NO_REPLIES, options.max_new_tokens), leaves_no_trace=True))
        runner.reset()
        spent[runner.label] = (time.perf_counter() - start) * 1e3
    return spent


def turns_of(conversations: Iterable[Conversation]) -> Iterator[tuple[Conversation, int]]:
    """Yield every turn in order, as its conversation and its place in it."""
    for conversation in conversations:
        yield from ((conversation, index) for index in range(len(conversation.turns)))


def requests_of(turns: Iterable[tuple[Conversation, int]], cold: int = 0) -> Iterator[StreamRequest]:
    """Yield the request of every turn in the order given, with how many of its media came before.

    ``cold``: cold requests that were answered before the first.
    """
    asked = list(turns)
    prompts = [conversation.prompt(index) for conversation, index in asked]
    beginnings = [_beginning(prompt) for prompt in prompts]
    last = {beginning: place for place, beginning in enumerate(beginnings)}
    seen: set[tuple[str, bytes]] = set()
    for place, (conversation, index) in enumerate(asked):
        media = media_in(prompts[place])
        recurring = sum(_identity(item) in seen for item in media)
        warmth = Warmth.COLD if not recurring else Warmth.WARM if recurring == len(media) else Warmth.PARTIAL
        seen.update(_identity(item) for item in media)
        again = last[beginnings[place]] > place
        yield StreamRequest(conversation, index, media, warmth, recurring, cold, begins_another=again)
        cold += warmth is Warmth.COLD


def _beginning(prompt: Sequence[Message]) -> tuple[object, ...]:
    """What a prompt shares with those that begin with the same text and medium: all of it where it has no media."""
    parts: list[object] = []
    for message in prompt:
        parts.append(message.role)
        for part in message.content:
            parts.append(part if isinstance(part, str) else _identity(part))
            if not isinstance(part, str):
                return tuple(parts)
    return tuple(parts)


def _identity(medium: Media) -> tuple[str, bytes]:
    """What two media have in common that are the same."""
    return medium.kind, medium.data


def make_record(
    workload: str, item: StreamRequest, label: str, place: int, response: Response, reference: Response | None
) -> Record:
    """Make the record of a response; ``place`` is the runner's among those of the request.

    ``reference``: None where it was not asked.
    """
    ok = response.status is Status.OK
    base = reference if ok and reference is not None and reference.status is Status.OK else None
    if base is not None and (_is_invalid(response) or _is_invalid(base)):
        base = None
    kl, served = None, response.served
    if base is not None and response.first_logits is not None and base.first_logits is not None:
        kl = kl_divergence(base.first_logits, response.first_logits)
    elif base is not None and response.first_tokens is not None and base.first_tokens is not None:
        kl, unseen = divergence_of_returned(base.first_tokens, response.first_tokens)
        served = None if served is None else replace(served, unseen_mass=unseen)
    judged = _judge(response, item.turn.answer)
    shares = [medium.content_share for medium in item.media]
    known = [share for share in shares if share is not None]
    return Record(
        key=record_key(workload, item.turn.id, label),
        workload=workload,
        request=item.turn.id,
        runner=label,
        cluster_id=item.conversation.cluster_id,
        family=item.turn.family,
        order=place,
        warmth=item.warmth,
        recurring_media=item.recurring,
        content_share=float(np.mean(known)) if known and len(known) == len(shares) else None,
        status=response.status,
        error=response.error,
        answer=response.text,
        gold=item.turn.answer.accepted,
        token_ids=response.token_ids,
        score=judged.score if judged else None,
        kl=kl,
        agrees=response.text == base.text if base is not None else None,
        timing=response.timing,
        cache=response.cache,
        parse_failed=judged is not None and not judged.parsed,
        official_score=judged.official if judged else None,
        computed=response.computed,
        demand=response.demand,
        peak_bytes=response.peak_bytes,
        repair=response.repair,
        adopted=response.adopted,
        served=served,
    )


def _is_invalid(response: Response) -> bool:
    """Whether a server's caches were not in the state that the response is named for."""
    return response.served is not None and response.served.invalid is not None


def _judge(response: Response, answer: Answer) -> Judgement | None:
    """Score a response: 0 when it failed; None when there is no gold answer."""
    if not answer.has_gold:
        return None
    if response.status is not Status.OK or response.text is None:
        return Judgement(0.0)
    return judge(response.text, answer)
