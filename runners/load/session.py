"""Serve one request stream under load: runner after runner, each fed by the same arrivals, and yield records.

Runners are not interleaved, because requests overlap: what they share is the stream and its times. A conversation goes
on with its gold answers; where there are none, with no reply, for requests do not wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from runners.base import Request, Response, Runner
from runners.endpoint.runner import EndpointRunner
from runners.endpoint.under_load import Chat, ServerUnderLoad
from runners.load.client import deal
from runners.load.loop import LoadTarget, Outcome, run_closed, run_open
from runners.load.processes import run_together
from runners.load.queue import Queued
from runners.load.thread import run_in_thread
from runners.records import Load, Record, Status
from runners.session import SessionOptions, StreamRequest, make_record, requests_of, turns_of, warm_up
from workloads.arrivals import Arrivals
from workloads.records import NO_REPLIES, Conversation

NOT_ASKED = Response(Status.ERROR)
"""Of the reference, where its time was over: nothing is compared with it."""


@dataclass(frozen=True)
class LoadOptions:
    """How requests arrive; one of the first three is given.

    Attributes:
        arrivals: at times that are drawn.
        concurrency: so many at once.
        speed: at the times that they have, this many times as fast.
        duration: seconds after which no more are sent; None for no end but that of the stream.
        clients: processes that ask a server; a method of the built-in engine is asked in this one.
    """

    arrivals: Arrivals | None = None
    concurrency: int | None = None
    speed: float | None = None
    duration: float | None = None
    clients: int = 1

    def times(self, requests: Sequence[StreamRequest], seed: int, workload: str) -> list[float] | None:
        """Seconds at which to send each request, ascending; None of a closed loop."""
        if self.speed is not None:
            first = requests[0].turn.arrival_s or 0.0
            times = [((item.turn.arrival_s or 0.0) - first) / self.speed for item in requests]
        elif self.arrivals is not None:
            times = self.arrivals.times(len(requests), seed, workload).tolist()
        else:
            return None
        return times if self.duration is None else [time for time in times if time <= self.duration]


def serve_under_load(
    workload: str,
    conversations: Sequence[Conversation],
    runners: Sequence[Runner],
    options: SessionOptions,
    loads: Mapping[str, LoadOptions],
) -> Iterator[Record]:
    """Yield a record for every request, runner and load, the reference's first; see ``runners.session.serve``.

    Divergence is not measured: logits of thousands of answers are not kept.

    Args:
        options: its ``reference`` is a runner's label followed by a load's name.
        loads: by what follows the labels of the runners that are asked like that.
    """
    turns = list(turns_of(conversations))
    if any(load.speed is not None for load in loads.values()):
        turns.sort(key=lambda turn: turn[0].turns[turn[1]].arrival_s or 0.0)
    requests = list(requests_of(turns))
    references: dict[int, Response] = {}
    arms = [(f"{runner.label}{suffix}", runner, load) for suffix, load in loads.items() for runner in runners]
    for label, runner, load in sorted(arms, key=lambda arm: arm[0] != options.reference):
        warm_up(requests[: options.warmup], [runner], options)
        for outcome in _outcomes(runner, workload, requests, options, load):
            response = replace(outcome.response, first_logits=None, first_tokens=None)
            if label == options.reference:
                references[outcome.index] = Response(response.status, response.text)
            item = requests[outcome.index]
            reference = references.get(outcome.index, NOT_ASKED)
            record = make_record(workload, item, label, 0, response, reference)
            yield replace(record, load=_load(outcome))
        runner.reset()


def _load(outcome: Outcome) -> Load:
    return Load(
        due_ms=outcome.due_s * 1e3,
        lag_ms=(outcome.sent_s - outcome.due_s) * 1e3,
        e2e_ms=(outcome.ended_s - outcome.sent_s) * 1e3,
    )


def _outcomes(
    runner: Runner, workload: str, requests: Sequence[StreamRequest], options: SessionOptions, load: LoadOptions
) -> Iterator[Outcome]:
    """Run the loop, in one client or in several."""
    times = load.times(requests, options.seed, workload)
    concurrency = load.concurrency or 1

    def request(index: int) -> Request:
        return requests[index].request(NO_REPLIES, options.max_new_tokens)

    if isinstance(runner, EndpointRunner) and load.clients > 1:
        asked = [request(index) for index in range(len(requests))]
        shares = deal(Chat.of(runner.server), asked, times, load.clients, concurrency, within_s=load.duration)
        return run_together("load client", shares)

    async def send_all(put: Callable[[Outcome], object]) -> None:
        target: LoadTarget = (
            ServerUnderLoad(Chat.of(runner.server)) if isinstance(runner, EndpointRunner) else Queued(runner)
        )
        try:
            if times is not None:
                await run_open(target, request, times, put)
            else:
                await run_closed(target, request, len(requests), concurrency, put, within_s=load.duration)
        finally:
            await target.close()

    return run_in_thread(send_all)
