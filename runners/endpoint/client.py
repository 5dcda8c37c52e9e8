"""Ask a server for one streamed answer, and time it from the first byte sent to the first text received.

No redirect is followed, nothing is tried twice, no proxy or netrc of the environment is used: each would be timed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import httpx2

from runners.endpoint.first_tokens import FirstTokens
from runners.endpoint.stream import NO_USAGE, Answer, BadStream, Usage, words_of
from workloads.reading import in_one_line

MOST_EVENT = 4 * 2**20  # bytes
MOST_ERROR = 64 * 2**10  # bytes of an error's body that are read
AFTER_DONE_S = 1.0  # for the end of a stream behind its last event, so that the connection can be used again
STREAM = "text/event-stream"


@dataclass(frozen=True)
class Reply:
    """How a server answered.

    Attributes:
        text: None where it did not; then ``error`` says why, in a line.
        ttft_ms: from the first byte of the request sent to the first text received; None of an answer without a word.
        decode_ms: from there to the last text, or to the event that ends the answer.
        sent_at: seconds on ``perf_counter``'s clock; None where nothing was sent.
        refused: whether the server answered with an error of the 4xx kind: the request, not the server, is at fault.
    """

    text: str | None = None
    error: str | None = None
    ttft_ms: float | None = None
    decode_ms: float | None = None
    usage: Usage = NO_USAGE
    first_tokens: FirstTokens | None = None
    finish_reason: str | None = None
    sent_at: float | None = None
    refused: bool = False


class _Sending:
    """Notes when the first byte of a request leaves, as the transport tells."""

    def __init__(self) -> None:
        self.at: float | None = None

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Take in an event of the transport."""
        if event.endswith(".send_request_headers.started") and self.at is None:
            self.at = perf_counter()


def open_client(key: str, connections: int | None = 1) -> httpx2.AsyncClient:
    """Open a client with so many ``connections`` (None: any number) that sends ``key``, unless that is empty."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    return httpx2.AsyncClient(headers=headers, limits=limits, trust_env=False, follow_redirects=False)


async def ask(client: httpx2.AsyncClient, address: str, body: bytes, timeout: float) -> Reply:
    """Ask for a chat completion, and read it to its end.

    Args:
        address: of the server's ``/chat/completions``.
        body: JSON, see ``chat.chat_body``.
        timeout: seconds for all of it, after which it is given up, whatever the server sends meanwhile.
    """
    sending, answer = _Sending(), Answer()
    error: str | None = None
    refused = failed = False
    try:
        async with asyncio.timeout(timeout) as deadline:
            request = client.build_request(
                "POST",
                address,
                content=body,
                headers={"Content-Type": "application/json", "Accept": STREAM},
                extensions={"trace": sending.trace, "timeout": {}},
            )
            response = await client.send(request, stream=True)
            try:
                refused = 400 <= response.status_code < 500
                error = await _read(response, answer, deadline)
            finally:
                await response.aclose()
    except TimeoutError:
        error = f"no whole answer within {timeout:g} seconds (--timeout)"
    except BadStream as bad:
        error, failed = f"the server sent {bad}", True
    except (httpx2.HTTPError, httpx2.StreamError) as lost:
        error = f"{type(lost).__name__}: {in_one_line(str(lost)) or 'the connection was lost'}"
    if error is not None:
        error = without_key(client, error)
    return _reply(answer, sending.at, error, refused=refused, failed=failed)


async def _read(response: httpx2.Response, answer: Answer, deadline: asyncio.Timeout) -> str | None:
    """Read the answer; returns what is wrong with it."""
    if response.status_code != httpx2.codes.OK:
        return f"HTTP {response.status_code}: {words_of(await _beginning(response))}"
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != STREAM:
        return f"the server did not stream its answer (content type '{in_one_line(kind)[:80]}')"
    async for event in httpx2.EventSource(response, MOST_EVENT):
        answer.take(event.data, perf_counter())
        if answer.ended:
            deadline.reschedule(min(asyncio.get_running_loop().time() + AFTER_DONE_S, deadline.when() or float("inf")))
    return None


async def _beginning(response: httpx2.Response) -> object:
    """The beginning of an error's body: what a JSON document says under ``error`` or ``detail``, else as text."""
    body = b""
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > MOST_ERROR:
            break
    text = body[:MOST_ERROR].decode(errors="replace")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(document, dict):
        return document.get("error") or document.get("detail") or document
    return document


def without_key(client: httpx2.AsyncClient, text: str) -> str:
    """The same text, the API key in it hidden: servers and libraries repeat what was sent."""
    key = client.headers.get("Authorization", "").removeprefix("Bearer ")
    return text.replace(key, "***") if key else text


def _reply(answer: Answer, sent_at: float | None, error: str | None, *, refused: bool, failed: bool) -> Reply:
    """What is known of an answer. One that was whole before the connection ``failed`` counts, unless by an event."""
    if answer.whole and sent_at is not None and not failed:
        return Reply(
            text=answer.text,
            ttft_ms=_between(sent_at, answer.first_at),
            decode_ms=_between(answer.first_at, answer.last_at),
            usage=answer.usage,
            first_tokens=answer.first_tokens,
            finish_reason=answer.finish_reason,
            sent_at=sent_at,
        )
    if error is None:
        error = f"the stream broke off after {len(answer.text)} characters, before the server ended the answer"
    return Reply(error=error, usage=answer.usage, sent_at=sent_at, refused=refused)


def _between(start: float | None, end: float | None) -> float | None:
    """Milliseconds; None where either moment did not come."""
    return None if start is None or end is None else (end - start) * 1e3
