"""Answer requests with a server, its caches left or made as the runner's spec says, and checked where it tells."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from runners.base import Request, Response
from runners.endpoint.client import Reply, open_client
from runners.endpoint.counters import Hits
from runners.endpoint.options import Endpoint, State
from runners.endpoint.server import Server, read_key
from runners.endpoint.state import fault
from runners.records import Served, Status, Timing
from runners.registry import RunnerSpec
from workloads.records import MediaKind, Message, media_in

BEGINS_THE_ANSWER = Response(
    Status.ERROR, error="a request that begins the answer cannot be put to a server: use another workload"
)
OTHER_TEXT = "Look at this first."  # before media sent ahead, so that no prefix of the request is equal


class EndpointRunner:
    """See ``Runner``. Must be closed.

    Raises:
        UsageError: on making one, where the server cannot do what the spec asks for.
    """

    def __init__(self, spec: RunnerSpec) -> None:
        self._spec = spec
        self._options = Endpoint(**spec.options)
        self._loop = asyncio.Runner()
        self._seen: set[tuple[MediaKind, bytes]] = set()
        key = read_key(self._options.api_key_env)
        self._server = Server(open_client(key), open_client(key), self._options)
        try:
            self._abilities = self._loop.run(self._server.meet())
        except BaseException:
            self.close()
            raise

    @property
    def label(self) -> str:
        """See ``Runner``."""
        return self._spec.label

    def answer(self, request: Request) -> Response:
        """See ``Runner``."""
        if request.messages[-1].role == "assistant":
            return BEGINS_THE_ANSWER
        return self._loop.run(self._answer(request))

    def reset(self) -> None:
        """See ``Runner``; a server that does not let its caches be emptied keeps them."""
        self._seen.clear()
        if self._options.reset:
            self._loop.run(self._server.empty_caches())

    @property
    def forgets(self) -> bool:
        """Whether ``reset`` empties the server's caches: else what warms it up would make the stream's media known."""
        return bool(self._server.resets)

    def describe(self) -> dict[str, Any]:
        """See ``Runner``."""
        return {
            "label": self._spec.label,
            "method": self._spec.method,
            "lossless": self._options.lossless,
            "analysis_only": False,
            "reuses": True,
            "promised_risk": None,
            "options": dict(self._spec.options),
            "server": self._abilities.to_json(),
        }

    def describe_model(self) -> dict[str, Any]:
        """Describe the model that answers, for the manifest of a run in which nothing answers in this process."""
        return {
            "name": self._abilities.served,
            "fingerprint": None,
            "random_weights": False,
            "dtype": "unknown",
            "device": "server",
            "profile": {},
        }

    @property
    def server(self) -> Server:
        """The server, met."""
        return self._server

    def close(self) -> None:
        """Close the connection."""
        with suppress(RuntimeError):
            self._loop.run(self._server.close())
        self._loop.close()

    async def _answer(self, request: Request) -> Response:
        media = {(medium.kind, medium.data) for medium in media_in(request.messages)}
        state = self._state_for(media)
        failed = await self._prepare(request.messages, state)
        self._seen |= media
        if failed is not None:
            return Response(Status.ERROR, error=f"the server's caches could not be made {state}: {failed}")
        before = await self._server.hits()
        reply = await self._server.complete(request.messages, request.max_new_tokens)
        after = await self._server.hits()
        hits = Hits() if before is None or after is None else Hits.between(before, after)
        return as_response(reply, self._served(state, request.messages, reply, hits))

    def _state_for(self, media: set[tuple[MediaKind, bytes]]) -> State:
        """The state that a request is to meet: one whose media did not all come before is cold, whatever is asked."""
        new = not media <= self._seen
        if self._options.state == "stream":
            return "cold" if media and not media & self._seen else "stream"
        return "cold" if new else self._options.state

    async def _prepare(self, messages: Sequence[Message], state: State) -> str | None:
        """Make the state of the caches; returns why it could not be made."""
        if self._options.state == "stream":
            return None
        if not await self._server.empty_caches():
            return "it did not empty them"
        if state == "same-image":
            ahead = Message("user", (OTHER_TEXT, *media_in(messages)))
            return (await self._server.complete([ahead], 1)).error
        return (await self._server.complete(messages, 1)).error if state == "repeat" else None

    def _served(self, state: State, messages: Sequence[Message], reply: Reply, hits: Hits) -> Served:
        checked, wrong = fault(state, messages, reply.usage, hits)
        return Served(
            state=state,
            checked=checked,
            invalid=wrong,
            prompt_tokens=reply.usage.prompt_tokens,
            output_tokens=reply.usage.completion_tokens,
            cached_tokens=reply.usage.cached_tokens,
            prefix_tokens=hits.prefix_tokens,
            preprocessing_hits=hits.preprocessing_hits,
            encoder_hits=hits.encoder_hits,
            kv_tokens=hits.kv_tokens,
            media=len(media_in(messages)),
            finish_reason=reply.finish_reason,
        )


def as_response(reply: Reply, served: Served) -> Response:
    """Make the response of a runner of what a server replied and told."""
    if reply.text is None:
        return Response(Status.ERROR, error=reply.error, served=replace(served, checked=False, invalid=None))
    timing = None if reply.ttft_ms is None else Timing(ttft_ms=reply.ttft_ms, decode_ms=reply.decode_ms or 0.0)
    return Response(Status.OK, reply.text, first_tokens=reply.first_tokens, timing=timing, served=served)
