"""Deal the requests of a loop among several client processes, where one cannot send them all in time.

Client k of N takes the requests k, k + N, k + 2N, ... at the times that they have in the one schedule, so that together
the clients send what one would; in a closed loop each also keeps its part of the requests under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from runners.base import Request
from runners.endpoint.under_load import Chat, ServerUnderLoad
from runners.load.ceiling import load_modules
from runners.load.loop import Outcome, run_closed, run_open


@dataclass(frozen=True)
class Share:
    """What one client sends; a ``processes.Task``.

    Attributes:
        requests: in order.
        indices: of each in the whole stream.
        times: of each, in seconds since the start; None of a closed loop.
        concurrency: requests under way at once, of a closed loop.
        within_s: see ``loop.run_closed``.
    """

    chat: Chat
    requests: Sequence[Request]
    indices: Sequence[int]
    times: Sequence[float] | None
    concurrency: int
    within_s: float | None

    def run(self, begin: Callable[[], float], put: Callable[[Outcome], object]) -> None:
        """See ``processes.Task``."""
        load_modules()
        asyncio.run(self._send_all(begin, put))

    async def _send_all(self, begin: Callable[[], float], put: Callable[[Outcome], object]) -> None:
        target = ServerUnderLoad(self.chat)

        def put_indexed(outcome: Outcome) -> None:
            put(replace(outcome, index=self.indices[outcome.index]))

        take = self.requests.__getitem__
        try:
            start = begin()
            if self.times is not None:
                await run_open(target, take, self.times, put_indexed, start)
            else:
                await run_closed(
                    target, take, len(self.requests), self.concurrency, put_indexed, self.within_s, start=start
                )
        finally:
            await target.close()


def deal(
    chat: Chat,
    requests: Sequence[Request],
    times: Sequence[float] | None,
    clients: int,
    concurrency: int = 1,
    within_s: float | None = None,
) -> list[Share]:
    """Deal requests to at most ``clients`` clients; see ``Share``.

    Args:
        times: of an open loop, ascending; what is behind their end is not sent.
        concurrency: of a closed loop, at least ``clients``.
    """
    count = len(requests) if times is None else len(times)
    clients = min(clients, count)
    return [
        Share(
            chat=chat,
            requests=requests[first:count:clients],
            indices=range(first, count, clients),
            times=None if times is None else times[first:count:clients],
            concurrency=concurrency // clients + (first < concurrency % clients),
            within_s=within_s,
        )
        for first in range(clients)
    ]
