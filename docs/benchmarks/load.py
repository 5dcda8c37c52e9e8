"""How exact the client under load is, against a trivial server in a process of its own.

    python docs/benchmarks/load.py [--rate 50] [--seconds 20] [--requests 10000] [--clients 1]

Prints how far the schedule of an open loop was missed, the TTFT that the client reports beside one that a plain socket
measures of the same stream, and the memory of a closed loop of many requests. With several clients, only how far the
schedule was missed, and their ceiling.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import resource
import socket
import statistics
import threading
from time import perf_counter
from typing import Any

import numpy as np

from runners.base import Request, Response
from runners.endpoint.client import ask, open_client
from runners.endpoint.options import Endpoint
from runners.endpoint.under_load import Chat
from runners.load.ceiling import END, HEAD, WORD, Ceiling, measure_ceiling
from runners.load.client import deal
from runners.load.loop import Outcome, run_closed, run_open
from runners.load.processes import run_together
from runners.records import Status, Timing
from workloads.arrivals import Arrivals
from workloads.records import Message

TEXT = "x" * 50_000
BODY = json.dumps({"messages": [{"role": "user", "content": TEXT}]}).encode()
SERVER_S = 0.02  # before the first event


class Trivial:
    """Ask the server, see ``runners.load.loop.LoadTarget``."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._client = open_client("", None)

    def prepare(self, request: Request) -> object:
        """See ``LoadTarget``."""
        return BODY

    async def ask(self, prepared: object) -> Response:
        """See ``LoadTarget``."""
        assert isinstance(prepared, bytes)
        reply = await ask(self._client, self._address, prepared, 30.0)
        assert reply.text is not None, reply.error
        assert reply.ttft_ms is not None
        return Response(Status.OK, reply.text, timing=Timing(reply.ttft_ms))

    async def close(self) -> None:
        """See ``LoadTarget``."""
        await self._client.aclose()


def serve(told: Any) -> None:
    """Answer every request after ``SERVER_S`` seconds."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.lower().split(b"\r\n")
                length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:"))
                await reader.readexactly(length)
                await asyncio.sleep(SERVER_S)
                writer.write(HEAD % len(WORD + END) + WORD + END)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=2**20)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def request(index: int) -> Request:
    """A request that nobody looks at."""
    return Request(str(index), (), 1)


async def open_loop(address: str, rate: float, seconds: float) -> list[Outcome]:
    """An open loop with constant gaps."""
    outcomes: list[Outcome] = []
    runner = Trivial(address)
    times = Arrivals("constant", rate).times(int(rate * seconds), 0, "x").tolist()
    await run_open(runner, request, times, outcomes.append)
    await runner.close()
    return outcomes


async def closed_loop(address: str, count: int) -> tuple[float, float]:
    """Megabytes that the process took at most after a tenth of the requests, and at the end."""
    runner, seen, peaks = Trivial(address), 0, []

    def put(outcome: Outcome) -> None:
        nonlocal seen
        seen += 1
        if seen in (count // 10, count):
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)

    await run_closed(runner, request, count, 16, put)
    await runner.close()
    return peaks[0], peaks[1]


def plain_ttft_ms(port: int, count: int) -> list[float]:
    """Time to the first byte of the events, by a plain blocking socket."""
    found = []
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            start = perf_counter()
            connection.sendall(head + BODY)
            answer = b""
            first = None
            while not answer.endswith(b"[DONE]\n\n"):
                answer += connection.recv(2**16)
                if first is None and b'"content"' in answer:
                    first = perf_counter()
            assert first is not None
            found.append((first - start) * 1e3)
    return found


async def client_ttft_ms(address: str, count: int) -> list[float]:
    """The same as the client tells it."""
    found = []
    async with open_client("") as client:
        for _ in range(count):
            reply = await ask(client, address, BODY, 30.0)
            assert reply.ttft_ms is not None
            found.append(reply.ttft_ms)
    return found


def print_schedule(outcomes: list[Outcome], rate: float) -> None:
    """Print how far the schedule of an open loop was missed."""
    lags = np.array([(outcome.sent_s - outcome.due_s) * 1e3 for outcome in outcomes])
    sent = sorted(outcome.sent_s for outcome in outcomes)
    achieved = (len(sent) - 1) / (sent[-1] - sent[0])
    print(
        f"open loop: {len(outcomes)} requests at {rate:g}/s, sent at {achieved:.3f}/s "
        f"({100 * abs(achieved / rate - 1):.3f} % off), late by {np.median(lags):.2f} ms in the median, "
        f"{np.percentile(lags, 99):.2f} ms at 99 %, over 10 ms: {100 * (lags > 10).mean():.2f} %"
    )


def print_clients(port: int, clients: int, rate: float, seconds: float) -> None:
    """Print the same of several clients, and how many requests they can send at most."""
    message = Message("user", (TEXT,))
    count = int(rate * seconds)
    requests = [Request(str(index), (message,), 1) for index in range(count)]
    times = Arrivals("constant", rate).times(count, 0, "x").tolist()
    chat = Chat(Endpoint(f"http://127.0.0.1:{port}/v1"), "any", {})
    print_schedule(list(run_together("client", deal(chat, requests, times, clients))), rate)
    print(f"ceiling of {clients} clients: {Ceiling((message,), 1).of_clients(clients):.0f} requests/s")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=1)
    options = parser.parse_args()
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(there,), daemon=True)
    server.start()
    port = here.recv()
    address = f"http://127.0.0.1:{port}/"
    if options.clients > 1:
        print_clients(port, options.clients, options.rate, options.seconds)
        server.terminate()
        return

    pairs = [
        (statistics.median(asyncio.run(client_ttft_ms(address, 20))), statistics.median(plain_ttft_ms(port, 20)))
        for _ in range(10)
    ]
    ratio = statistics.median(ours / plain for ours, plain in pairs)
    print(
        f"TTFT, client / plain socket, median of 10 x 20: {pairs[0][0]:.2f} / {pairs[0][1]:.2f} ms, ratio {ratio:.3f}"
    )

    print_schedule(asyncio.run(open_loop(address, options.rate, options.seconds)), options.rate)
    before, after = asyncio.run(closed_loop(address, options.requests))
    print(f"closed loop: {options.requests} requests, {before:.1f} MB after a tenth of them, {after:.1f} MB at the end")
    print(f"ceiling of the client, as runs under load measure it: {measure_ceiling(lambda: BODY, 1):.0f} requests/s")
    server.terminate()
    server.join()
    assert threading.active_count() == 1


if __name__ == "__main__":
    main()
