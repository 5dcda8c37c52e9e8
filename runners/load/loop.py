"""Send requests at their times, or as many at once as are allowed, and note when each was sent and answered.

In an open loop a request is sent when its time comes, however many are still unanswered; in a closed loop when an
earlier one was answered. How late the client itself was is measured: where it is the bottleneck, what it measures is
its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

from runners.base import Request, Response


class LoadTarget(Protocol):
    """A runner that takes requests while it answers others."""

    def prepare(self, request: Request) -> object:
        """Do what need not be timed, before the request's time has come."""
        ...

    async def ask(self, prepared: object) -> Response:
        """Answer; the time to first token counts from the call."""
        ...

    async def close(self) -> None:
        """Release what it holds."""
        ...


@dataclass(frozen=True)
class Outcome:
    """One request under load.

    Attributes:
        index: of the request.
        due_s, sent_s, ended_s: when it was to be sent, was sent, and was answered, in seconds since the loop began.
    """

    index: int
    due_s: float
    sent_s: float
    ended_s: float
    response: Response


async def run_open(
    runner: LoadTarget,
    requests: Callable[[int], Request],
    times: Sequence[float],
    put: Callable[[Outcome], object],
    start: float | None = None,
) -> None:
    """Send request i at ``times[i]`` seconds, and hand each outcome over as it comes; ends when all are answered.

    Args:
        requests: makes the request of an index, just before its time: few are held at once.
        times: ascending.
        start: when the loop begins, on ``perf_counter``'s clock; None for at once.
    """
    start = perf_counter() if start is None else start
    async with asyncio.TaskGroup() as tasks:
        for index, due in enumerate(times):
            prepared = runner.prepare(requests(index))
            await asyncio.sleep(max(0.0, start + due - perf_counter()))
            tasks.create_task(_answer(runner, prepared, index, due, start, put))


async def run_closed(
    runner: LoadTarget,
    requests: Callable[[int], Request],
    count: int,
    concurrency: int,
    put: Callable[[Outcome], object],
    within_s: float | None = None,
    start: float | None = None,
) -> None:
    """Keep ``concurrency`` requests under way until ``count`` are answered; see ``run_open``.

    Args:
        within_s: seconds after which no more are sent; None for no end.
    """
    start = perf_counter() if start is None else start
    await asyncio.sleep(max(0.0, start - perf_counter()))
    left = iter(range(count))

    async def work() -> None:
        for index in left:
            prepared = runner.prepare(requests(index))
            if within_s is not None and perf_counter() - start > within_s:
                return
            await _answer(runner, prepared, index, perf_counter() - start, start, put)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(concurrency, count)):
            tasks.create_task(work())


async def _answer(
    runner: LoadTarget, prepared: object, index: int, due: float, start: float, put: Callable[[Outcome], object]
) -> None:
    sent = perf_counter() - start
    response = await runner.ask(prepared)
    put(Outcome(index, due, sent, perf_counter() - start, response))
