"""One streamed answer: what counts as its first text, and every way in which it can fail."""

from __future__ import annotations

import asyncio
import json
from time import perf_counter
from typing import Any

import pytest

from runners.endpoint.client import Reply, ask, open_client
from runners.endpoint.stream import MOST_TEXT

ROLE = json.dumps({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]})


def chunk(content: str | None = None, finish: str | None = None) -> str:
    delta = {} if content is None else {"content": content}
    return json.dumps(
        {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    )


def usage(prompt: int, cached: int | None = None, media: int | None = None) -> dict[str, Any]:
    details = {"cached_tokens": cached, "multimodal_tokens": None if media is None else {"image": media}}
    return {"prompt_tokens": prompt, "completion_tokens": 2, "prompt_tokens_details": details}


def reply_of(script: Any, timeout: float = 5.0) -> Reply:
    async def once() -> Reply:
        async with open_client("") as client:
            return await ask(client, f"{script.url}/chat/completions", b'{"messages": []}', timeout)

    return asyncio.run(once())


FINISH = chunk(finish="stop")
TOLD = json.dumps({"choices": [], "usage": usage(199, 192, 168)})
WHOLE: dict[str, list[Any]] = {
    "vLLM with usage": [ROLE, chunk("4"), chunk("2"), chunk("", "stop"), TOLD, "[DONE]"],
    "transformers serve": [chunk(), chunk("42"), json.dumps({**json.loads(FINISH), "usage": usage(199, 192, 168)})],
    "usage with every chunk": [
        ROLE,
        json.dumps({**json.loads(chunk("42")), "usage": usage(199)}),
        json.dumps({**json.loads(FINISH), "usage": usage(199, 192, 168)}),
        "[DONE]",
    ],
    "keep-alives": [b": ping\n\n", ROLE, b": ping\r\n\r\n", chunk("42"), b"event: ping\ndata: {}\n\n", FINISH, TOLD],
    "content of null": [
        json.dumps({"choices": [{"delta": {"role": "assistant", "content": None}}]}),
        chunk("42"),
        FINISH,
        TOLD,
    ],
    "in pieces": [*(bytes([byte]) for byte in f"data: {chunk('42')}\n\ndata: {TOLD}\n\ndata: [DONE]\n\n".encode())],
    "fields nobody knows": [
        json.dumps({"x": [1], "choices": [{"delta": {"content": "42", "y": {}}, "z": 1}]}),
        FINISH,
        TOLD,
    ],
    "lost behind the end": [chunk("42"), FINISH, TOLD, "[DONE]", ""],
}


@pytest.mark.parametrize("dialect", WHOLE)
def test_every_dialect_gives_the_same_answer(script: Any, dialect: str) -> None:
    script.answer = lambda document: WHOLE[dialect]
    reply = reply_of(script)
    assert (reply.error, reply.text) == (None, "42")
    assert reply.usage.prompt_tokens == 199
    assert reply.usage.prompt_tokens_details is not None
    assert reply.usage.prompt_tokens_details.cached_tokens == 192
    assert reply.ttft_ms is not None
    assert reply.decode_ms is not None
    assert 0 < reply.ttft_ms < 5000
    assert 0 <= reply.decode_ms < 5000


def test_the_first_text_counts_and_no_event_before_it(script: Any) -> None:
    script.answer = lambda document: [
        ROLE,
        0.2,
        chunk(""),
        b": ping\n\n",
        chunk("4"),
        0.1,
        chunk("2"),
        FINISH,
        "[DONE]",
    ]
    reply = reply_of(script)
    assert reply.ttft_ms is not None
    assert reply.decode_ms is not None
    assert reply.ttft_ms >= 200
    assert reply.decode_ms >= 90


FAULTS: dict[str, tuple[list[Any], str]] = {
    "broken off": ([ROLE, chunk("4"), ""], "RemoteProtocolError: "),
    "ended early": ([ROLE, chunk("42")], "the stream broke off after 2 characters, before the server ended the answer"),
    "nothing": ([], "the stream broke off after 0 characters"),
    "given up": (
        [ROLE, chunk("42"), chunk(finish="abort"), "[DONE]"],
        "the server sent that it broke the answer off (abort)",
    ),
    "an error behind the end": (
        [chunk("42"), chunk(finish="stop"), '{"error": "lost"}'],
        "the server sent an error: lost",
    ),
    "no JSON": ([ROLE, "{"], "the server sent an event that cannot be read: "),
    "another JSON": ([ROLE, "[1]"], "the server sent an event that cannot be read: "),
    "wrong types": (
        [json.dumps({"choices": [{"delta": {"content": 4}}]})],
        "the server sent an event that cannot be read",
    ),
    "a negative count": (
        [json.dumps({"choices": [], "usage": {"prompt_tokens": -1}})],
        "the server sent an event that",
    ),
    "deep JSON": (["[" * 100_000], "the server sent an event that cannot be read: "),
    "an error": (
        [ROLE, json.dumps({"error": {"message": "out of\nmemory", "code": 500}})],
        "the server sent an error: out of memory",
    ),
    "an error as text": ([json.dumps({"error": "overloaded"})], "the server sent an error: overloaded"),
    "an error as the event": (
        [json.dumps({"object": "error", "message": "too long"})],
        "the server sent an error: too long",
    ),
    "a long answer": ([chunk("x" * 2**20)] * (MOST_TEXT // 2**20 + 1), "the server sent an answer of more than"),
    "a long event": ([b"data: " + b"x" * 2**20] * 6, "SSEError: "),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_stream_is_an_error_in_one_line_and_no_answer(script: Any, fault: str) -> None:
    events, error = FAULTS[fault]
    script.answer = lambda document: events
    reply = reply_of(script)
    assert reply.error is not None
    assert reply.error.startswith(error)
    assert reply.error.isprintable()
    assert len(reply.error) < 500
    assert (reply.text, reply.ttft_ms, reply.decode_ms) == (None, None, None)
    assert len(script.documents) == 1, "asked twice"


REFUSALS: dict[str, tuple[tuple[int, str, str], str]] = {
    "unknown model": (
        (404, "application/json", '{"error":{"message":"The model `nope` does not exist."}}'),
        "HTTP 404: The model `nope`",
    ),
    "unknown field": (
        (422, "application/json", '{"detail":"Unexpected fields in the request: {\'x\'}"}'),
        "HTTP 422: Unexpected",
    ),
    "plain text": ((500, "text/plain", "Internal Server Error"), "HTTP 500: Internal Server Error"),
    "no words": ((503, "text/html", ""), "HTTP 503: without a word"),
    "moved": ((307, "text/plain", "elsewhere"), "HTTP 307: elsewhere"),
    "long": ((400, "text/plain", "x\x1b[31m" * 200_000), "HTTP 400: x"),
    "a list": ((400, "application/json", "[1, 2]"), "HTTP 400: [1, 2]"),
    "not streamed": (
        (200, "application/json", '{"choices": []}'),
        "the server did not stream its answer (content type 'application/json')",
    ),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_is_told_in_the_servers_words(script: Any, refusal: str) -> None:
    answer, error = REFUSALS[refusal]
    script.refuse = lambda document: answer
    reply = reply_of(script)
    assert reply.error is not None
    assert reply.error.startswith(error)
    assert reply.error.isprintable()
    assert len(reply.error) < 500
    assert reply.refused == (400 <= answer[0] < 500)
    assert script.paths == ["POST /v1/chat/completions"], "followed or asked twice"


STALLS: dict[str, list[Any]] = {
    "before anything": [60.0],
    "behind the role": [ROLE, 60.0],
    "in the middle": [ROLE, chunk("4"), 60.0],
    "kept alive": [b": ping\n\n", 0.05] * 600,
}


@pytest.mark.parametrize("stall", STALLS)
def test_no_request_outlasts_its_time(script: Any, stall: str) -> None:
    script.answer = lambda document: STALLS[stall]
    start = perf_counter()
    reply = reply_of(script, timeout=0.3)
    assert perf_counter() - start < 3, "far more than it was given"
    assert reply.error == "no whole answer within 0.3 seconds (--timeout)"
    assert reply.text is None


def test_a_server_that_keeps_a_whole_answer_open_is_not_waited_for(script: Any) -> None:
    script.answer = lambda document: [chunk("42"), FINISH, "[DONE]", 60.0]
    reply = reply_of(script, timeout=30.0)
    assert (reply.text, reply.error) == ("42", None)


def test_nobody_there_is_an_error(script: Any) -> None:
    script.url = "http://127.0.0.1:9/v1"
    reply = reply_of(script)
    assert reply.error is not None
    assert reply.error.startswith("ConnectError: ")


def test_the_key_is_sent_and_nothing_of_the_environment(
    script: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    async def once(key: str) -> Reply:
        async with open_client(key) as client:
            return await ask(client, f"{script.url}/chat/completions", b'{"messages": []}', 5.0)

    assert asyncio.run(once("")).text == "4"
    assert asyncio.run(once("k-1")).text == "4"
    assert [headers.get("authorization") for headers in script.headers] == [None, "Bearer k-1"]
