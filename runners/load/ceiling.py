"""Measure how many requests a second the client itself can send and read, against a trivial server of ours."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from time import perf_counter

from runners.endpoint.client import ask, open_client

SECONDS = 0.5
CONCURRENCY = 8
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n"
EVENTS = (
    b'data: {"choices": [{"delta": {"content": "4"}, "finish_reason": null}]}\n\n'
    b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
)


def measure_ceiling(body: bytes) -> float:
    """Measure the most answers a second that the client gets to requests with this ``body``, ``CONCURRENCY`` at once.

    The server runs in a thread of this process and takes its share of it, so the true ceiling is somewhat higher.
    """
    started, ended, address = threading.Event(), threading.Event(), [""]
    thread = threading.Thread(target=lambda: asyncio.run(_serve(started, ended, address)), daemon=True)
    thread.start()
    started.wait()
    try:
        return asyncio.run(_count(address[0], body))
    finally:
        ended.set()
        thread.join()


async def _count(address: str, body: bytes) -> float:
    answered = 0
    start = perf_counter()

    async def work() -> None:
        nonlocal answered
        while perf_counter() - start < SECONDS:
            reply = await ask(client, address, body, timeout=10.0)
            answered += reply.error is None

    async with open_client("", CONCURRENCY) as client:
        await asyncio.gather(*(work() for _ in range(CONCURRENCY)))
    return answered / (perf_counter() - start)


async def _serve(started: threading.Event, ended: threading.Event, address: list[str]) -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0, limit=2**20)
    address[0] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    started.set()
    async with server:
        while not ended.is_set():
            await asyncio.sleep(0.02)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request of a connection at once."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
            )
            await reader.readexactly(length)
            writer.write(HEAD % len(EVENTS) + EVENTS)
            await writer.drain()
    writer.close()
