"""Ask a server while it answers other requests: one client, as many connections as there are requests under way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Self

from runners.base import Request, Response
from runners.endpoint.chat import chat_body
from runners.endpoint.client import ask, open_client
from runners.endpoint.options import Endpoint
from runners.endpoint.runner import BEGINS_THE_ANSWER, as_response
from runners.endpoint.server import Server, read_key
from runners.records import Served
from workloads.records import media_in


@dataclass(frozen=True)
class Chat:
    """What a request to a server takes besides its messages; can be pickled.

    Attributes:
        served: the model's name there.
        settings: fields of every request, as far as the server takes them.
    """

    options: Endpoint
    served: str
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, server: Server) -> Self:
        """Of a server that was met, see ``Server.meet``."""
        return cls(server.options, server.served, dict(server.settings))


class ServerUnderLoad:
    """See ``runners.load.loop.LoadTarget``. Answers alone tell what the caches had: counters count all requests."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._client = open_client(read_key(chat.options.api_key_env), connections=None)

    def prepare(self, request: Request) -> object:
        """See ``runners.load.loop.LoadTarget``: encodes the body; None where a server cannot be asked that."""
        if request.messages[-1].role == "assistant":
            return None
        body = chat_body(request.messages, self._chat.served, request.max_new_tokens, self._chat.settings)
        return body, len(media_in(request.messages))

    async def ask(self, prepared: object) -> Response:
        """See ``runners.load.loop.LoadTarget``: connecting, and waiting for the client itself, count."""
        if prepared is None:
            return BEGINS_THE_ANSWER
        assert isinstance(prepared, tuple)
        body, media = prepared
        options = self._chat.options
        called_at = perf_counter()
        reply = await ask(self._client, options.completions, body, options.timeout)
        if reply.ttft_ms is not None and reply.sent_at is not None:
            reply = replace(reply, ttft_ms=reply.ttft_ms + (reply.sent_at - called_at) * 1e3)
        served = Served(
            state="stream",
            checked=False,
            media=media,
            prompt_tokens=reply.usage.prompt_tokens,
            output_tokens=reply.usage.completion_tokens,
            cached_tokens=reply.usage.cached_tokens,
            finish_reason=reply.finish_reason,
        )
        return replace(as_response(reply, served), first_tokens=None)

    async def close(self) -> None:
        """See ``runners.load.loop.LoadTarget``."""
        await self._client.aclose()
