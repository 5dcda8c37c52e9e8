"""TTFT of a real server as our client tells it, beside what a plain blocking socket sees of the same requests.

    python docs/benchmarks/plain_ttft.py --url http://127.0.0.1:8102/v1 --served tiny [--requests 20]

The server should keep nothing (vLLM: --no-enable-prefix-caching --mm-processor-cache-gb 0), so that both ask the same
of it. Each request is asked twice by both, who goes first in turn.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import statistics
from time import perf_counter
from urllib.parse import urlsplit

from runners.endpoint.chat import chat_body
from runners.endpoint.client import ask, open_client
from workloads.base import StreamOptions
from workloads.registry import load_workload

HEAD = (
    "POST {path}/chat/completions HTTP/1.1\r\nHost: {host}\r\n"
    "Content-Type: application/json\r\nContent-Length: {n}\r\n\r\n"
)


def is_text(line: bytes) -> bool:
    """Whether a whole line of a stream is an event with text."""
    try:
        choices = json.loads(line.removeprefix(b"data: "))["choices"]
    except (ValueError, KeyError, TypeError):
        return False
    return bool(choices and choices[0]["delta"].get("content"))


def plain_ms(connection: socket.socket, url: str, body: bytes) -> float:
    """Milliseconds from sending to the first event with text."""
    parts = urlsplit(url)
    head = HEAD.format(path=parts.path, host=parts.netloc, n=len(body)).encode()
    start = perf_counter()
    connection.sendall(head + body)
    got, first = b"", None
    while not got.endswith(b"0\r\n\r\n"):
        got += connection.recv(2**16)
        if first is None and any(map(is_text, got.split(b"\n"))):
            first = perf_counter()
    assert first is not None, got
    return (first - start) * 1e3


async def compare(url: str, served: str, requests: int) -> tuple[list[float], list[float]]:
    """Milliseconds by our client, and by a plain socket, of the same requests in the same order."""
    conversations = load_workload("doc-qa").conversations(StreamOptions(requests, 5, 0.0))
    bodies = [chat_body(conversation.prompt(0), served, 4, {}) for conversation in conversations]
    parts = urlsplit(url)
    ours, plain = [], []
    async with open_client("") as client:
        with socket.create_connection((str(parts.hostname), parts.port or 80)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for number, body in enumerate([*bodies, *bodies]):
                for who in (number % 2, 1 - number % 2):
                    if who:
                        plain.append(plain_ms(connection, url, body))
                        continue
                    reply = await ask(client, f"{url}/chat/completions", body, 60.0)
                    assert reply.ttft_ms is not None, reply.error
                    ours.append(reply.ttft_ms)
    return ours, plain


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--served", required=True)
    parser.add_argument("--requests", type=int, default=20)
    options = parser.parse_args()
    ours, plain = asyncio.run(compare(options.url.rstrip("/"), options.served, options.requests))
    ratio = statistics.median(mine / other for mine, other in zip(ours, plain, strict=True))
    print(
        f"{len(ours)} requests: client {statistics.median(ours):.1f}, plain socket {statistics.median(plain):.1f} ms "
        f"in the median, ratio request by request {ratio:.3f}"
    )


if __name__ == "__main__":
    main()
