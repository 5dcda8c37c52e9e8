"""A first-come queue before the built-in engine, which answers one request at a time, fed like any server."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import perf_counter

from runners.base import Request, Response, Runner


class Queued:
    """See ``loop.Asked``. The time that a request waits for its turn is a part of its time to first token."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._worker = ThreadPoolExecutor(1)

    def prepare(self, request: Request) -> object:
        """See ``loop.Asked``."""
        return request

    async def ask(self, prepared: object) -> Response:
        """See ``loop.Asked``."""
        assert isinstance(prepared, Request)
        asked_at = perf_counter()

        def answer() -> Response:
            waited_ms = (perf_counter() - asked_at) * 1e3
            response = self._runner.answer(prepared)
            timing = response.timing
            if timing is None:
                return response
            prepared_ms = (timing.prepare_ms or 0.0) + waited_ms
            waited = replace(timing, ttft_ms=timing.ttft_ms + waited_ms, prepare_ms=prepared_ms, queue_ms=waited_ms)
            return replace(response, timing=waited)

        return await asyncio.get_running_loop().run_in_executor(self._worker, answer)

    async def close(self) -> None:
        """See ``loop.Asked``."""
        self._worker.shutdown(wait=True, cancel_futures=True)
