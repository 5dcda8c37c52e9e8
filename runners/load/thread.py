"""Run a loop in a thread of its own, so that whoever takes its outcomes does not delay it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from runners.load.loop import Outcome


def run_in_thread(send_all: Callable[[Callable[[Outcome], object]], Coroutine[Any, Any, None]]) -> Iterator[Outcome]:
    """Yield the outcomes of a loop as they come; ends the loop when the iterator is closed.

    Args:
        send_all: runs the loop to its end, and hands each outcome over.
    """
    outcomes: SimpleQueue[Outcome | BaseException | None] = SimpleQueue()
    stopping = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def run() -> None:
        loops.append(asyncio.get_running_loop())
        sending = asyncio.create_task(send_all(outcomes.put))
        stopped = asyncio.create_task(stopping.wait())
        await asyncio.wait([sending, stopped], return_when=asyncio.FIRST_COMPLETED)
        sending.cancel()
        stopped.cancel()
        with suppress(asyncio.CancelledError):
            await sending

    def work() -> None:
        try:
            asyncio.run(run())
            outcomes.put(None)
        except BaseException as error:
            outcomes.put(error)

    thread = threading.Thread(target=work, name="load", daemon=True)
    thread.start()
    try:
        while (item := outcomes.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        if thread.is_alive() and loops:
            with suppress(RuntimeError):  # the loop ended in between
                loops[0].call_soon_threadsafe(stopping.set)
        thread.join()
