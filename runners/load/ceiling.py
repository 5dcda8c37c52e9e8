"""Measure how many requests a second the client itself can send and read, against a trivial server of ours."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from runners.endpoint.chat import chat_body
from runners.endpoint.client import ask, open_client
from runners.load.processes import run_together
from workloads.records import Message

SECONDS = 0.5
START_S = 10.0
CONCURRENCY = 8
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n"
WORD = b'data: {"choices": [{"delta": {"content": "4"}, "finish_reason": null}]}\n\n'
END = b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'


@dataclass(frozen=True)
class Ceiling:
    """Measure the ceiling of one client among several; a ``processes.Task``.

    Attributes:
        messages: of each request.
        tokens: of each answer.
    """

    messages: Sequence[Message]
    tokens: int

    def run(self, begin: Callable[[], float], put: Callable[[float], object]) -> None:
        """See ``processes.Task``. Modules are loaded before all begin, so that all measure in the same seconds."""
        load_modules()
        time.sleep(max(0.0, begin() - perf_counter()))
        put(self.measure())

    def measure(self) -> float:
        """Measure it in this process."""
        return measure_ceiling(lambda: chat_body(self.messages, "any", self.tokens, {}), self.tokens)

    def of_clients(self, clients: int) -> float:
        """Measure how many answers a second so many client processes get together, each from a server of its own."""
        return self.measure() if clients == 1 else sum(run_together("client", [self] * clients))


def load_modules() -> None:
    """Ask the trivial server once: the first answer in a process loads modules, which would delay a timed one."""
    measure_ceiling(lambda: b"{}", 1, seconds=0.0)


def measure_ceiling(body: Callable[[], bytes], tokens: int, seconds: float = SECONDS) -> float:
    """Measure the most answers a second that the client gets, ``CONCURRENCY`` at once.

    The server runs in a thread of this process and takes its share of it, so the true ceiling is somewhat higher.

    Args:
        body: makes the body of a request.
        tokens: of each answer, one event each.
        seconds: for which it is asked, behind a first request that is not counted.

    Raises:
        RuntimeError: this machine does not let us serve ourselves.
    """
    started, ended, address = threading.Event(), threading.Event(), [""]
    events = WORD * tokens + END
    thread = threading.Thread(target=lambda: asyncio.run(_serve(started, ended, address, events)), daemon=True)
    thread.start()
    if not started.wait(START_S):
        raise RuntimeError("the client's own server did not start")
    try:
        return asyncio.run(_count(address[0], body, seconds))
    finally:
        ended.set()
        thread.join()


async def _count(address: str, body: Callable[[], bytes], seconds: float) -> float:
    answered = 0

    async def work() -> None:
        nonlocal answered
        while perf_counter() - start < seconds:
            reply = await ask(client, address, body(), timeout=10.0)
            answered += reply.error is None

    async with open_client("", CONCURRENCY) as client:
        await ask(client, address, body(), timeout=10.0)  # the first one loads modules
        start = perf_counter()
        await asyncio.gather(*(work() for _ in range(CONCURRENCY)))
    return answered / (perf_counter() - start)


async def _serve(started: threading.Event, ended: threading.Event, address: list[str], events: bytes) -> None:
    server = await asyncio.start_server(partial(_answer, events), "127.0.0.1", 0, limit=2**20)
    address[0] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    started.set()
    async with server:
        while not ended.is_set():
            await asyncio.sleep(0.02)


async def _answer(events: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request of a connection at once."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
            )
            await reader.readexactly(length)
            writer.write(HEAD % len(events) + events)
            await writer.drain()
    writer.close()
