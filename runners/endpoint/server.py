"""A server: what it is and can do, found out before anything is timed; its caches, emptied and read."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx2

from runners.endpoint.chat import chat_body
from runners.endpoint.client import Reply, ask, without_key
from runners.endpoint.counters import MOST_METRICS, Hits, read_hits
from runners.endpoint.options import Endpoint
from workloads.errors import UsageError, quoted
from workloads.reading import in_one_line
from workloads.records import Message

RESETS = ("/reset_prefix_cache", "/reset_mm_cache", "/reset_encoder_cache", "/flush_cache", "/clear_kv_blocks")
"""Where servers empty their caches: three of vLLM (with VLLM_SERVER_DEV_MODE=1), one of SGLang, one of Dynamo."""

PROBE = (Message("user", ("Say one word.",)),)
NO_SERVER_KNOWS = "vlcache_unknown_field"
MOST_MODELS = 1_000
MOST_DOCUMENT = 2**20  # bytes of a server's description
LONGEST_NAME = 500
OPTIONAL: tuple[Mapping[str, Any], ...] = ({"stream_options": {"include_usage": True}}, {"seed": 0})
"""Fields that are sent to servers that take them: each is tried, for some servers refuse what they do not know."""


@dataclass(frozen=True)
class Abilities:
    """What a server was found to be and do, for the manifest.

    Attributes:
        served: the model's name.
        version: as it says; None where it does not.
        takes: the optional fields that it takes.
        ignores_unknown_fields: whether it answers a request with a field that no server knows as if it were not there.
        counts: the kinds of hits that it counts, see ``counters.Hits``.
        resets: the paths that empty its caches.
        gives_logprobs: whether it gave those that were asked for; None where none were.
    """

    served: str
    version: str | None
    takes: tuple[str, ...]
    ignores_unknown_fields: bool
    counts: tuple[str, ...]
    resets: tuple[str, ...]
    gives_logprobs: bool | None

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return asdict(self)


@dataclass
class Server:
    """A connection to a server. Requests go one by one.

    Attributes:
        client: asks for answers, over one connection.
        watcher: reads counters and empties caches, so that the other connection stays open.
        settings: fields of every request, as far as the server takes them.
    """

    client: httpx2.AsyncClient
    watcher: httpx2.AsyncClient
    options: Endpoint
    settings: dict[str, Any] = field(default_factory=dict)
    served: str = ""
    resets: tuple[str, ...] = ()

    async def meet(self) -> Abilities:
        """Find out what the server is and can do. Empties its caches, unless the options forbid it.

        Raises:
            UsageError: it cannot be reached, does not serve the model, or cannot do what the options ask for.
        """
        self.served = await self._find_model()
        await self._settle_on_fields()
        logprobs = await self._try_logprobs()
        if self.options.reset:
            self.resets = tuple([path for path in RESETS if await self._post(path)])
        if self.options.state != "stream" and not self.resets:
            raise UsageError(
                f"{self.options.url} does not let its caches be emptied, so state={self.options.state} cannot be made: "
                "start vLLM with VLLM_SERVER_DEV_MODE=1, or drop state="
            )
        hits = await self.hits()
        return Abilities(
            served=self.served,
            version=await self._version(),
            takes=tuple(name for optional in OPTIONAL for name in optional if name in self.settings),
            ignores_unknown_fields=(await self._probe({NO_SERVER_KNOWS: True})).error is None,
            counts=() if hits is None else tuple(hits.known),
            resets=self.resets,
            gives_logprobs=logprobs,
        )

    async def complete(self, messages: Sequence[Message], max_tokens: int) -> Reply:
        """Ask the model to answer, over a connection that was just used."""
        await self._get(f"{self.options.api}/models", MOST_DOCUMENT, self.client)
        return await self._ask(messages, max_tokens, self.settings)

    async def empty_caches(self) -> bool:
        """Empty the caches in every way that the server has; whether all of them said that they did."""
        return all([await self._post(path) for path in self.resets])

    async def hits(self) -> Hits | None:
        """What the caches had since the server started; None where the server does not tell."""
        text = await self._get(self.options.counters, MOST_METRICS)
        try:
            return None if text is None else read_hits(text)
        except ValueError:
            return None

    async def _find_model(self) -> str:
        address = f"{self.options.api}/models"
        try:
            text = await self._read("GET", address, MOST_DOCUMENT)
        except (httpx2.HTTPError, TimeoutError) as error:
            reason = without_key(self.client, in_one_line(str(error)) or type(error).__name__)
            raise UsageError(f"no server at {address}: {reason}; start it, or give another url=") from error
        names = _model_names(text)
        if self.options.served:
            if names and self.options.served not in names:
                raise UsageError(f"{self.options.url} does not serve {quoted(self.options.served)}: {_listed(names)}")
            return self.options.served
        if len(names) != 1:
            told = f"serves {_listed(names)}" if names else "does not say what it serves"
            raise UsageError(f"{self.options.url} {told}: say which one with served=NAME")
        return names[0]

    async def _settle_on_fields(self) -> None:
        """Keep those of the optional fields that the server does not refuse."""
        for optional in OPTIONAL:
            reply = await self._probe(optional)
            if not reply.refused:
                self.settings |= optional
        reply = await self._probe({})
        if reply.error is not None:
            raise UsageError(f"{self.options.url} does not answer a plain request: {reply.error}")

    async def _try_logprobs(self) -> bool | None:
        """Ask for log-probabilities where the options do; whether the server gives them."""
        if not self.options.logprobs:
            return None
        wanted = {"logprobs": True, "top_logprobs": self.options.logprobs}
        reply = await self._probe(wanted)
        if reply.error is not None:
            raise UsageError(f"{self.options.url} does not give logprobs={self.options.logprobs}: {reply.error}")
        self.settings |= wanted
        return reply.first_tokens is not None

    async def _probe(self, settings: Mapping[str, Any]) -> Reply:
        return await self._ask(PROBE, 1, {**self.settings, **settings})

    async def _ask(self, messages: Sequence[Message], max_tokens: int, settings: Mapping[str, Any]) -> Reply:
        body = chat_body(messages, self.served, max_tokens, settings)
        return await ask(self.client, self.options.completions, body, self.options.timeout)

    async def _version(self) -> str | None:
        text = await self._get(f"{self.options.root}/version", MOST_DOCUMENT)
        try:
            document = json.loads(text or "")
        except (ValueError, RecursionError):
            return None
        version = document.get("version") if isinstance(document, dict) else None
        return in_one_line(version)[:LONGEST_NAME] if isinstance(version, str) else None

    async def _post(self, path: str) -> bool:
        """Whether the server did what a path is for."""
        try:
            text = await self._read("POST", f"{self.options.root}{path}", MOST_DOCUMENT)
        except (httpx2.HTTPError, TimeoutError):
            return False
        return text is not None and '"success":false' not in text.replace(" ", "").lower()

    async def _get(self, address: str, most: int, client: httpx2.AsyncClient | None = None) -> str | None:
        """The text at an address; None where there is none."""
        try:
            return await self._read("GET", address, most, client)
        except (httpx2.HTTPError, TimeoutError):
            return None

    async def close(self) -> None:
        """Close the connections."""
        await self.client.aclose()
        await self.watcher.aclose()

    async def _read(self, method: str, address: str, most: int, client: httpx2.AsyncClient | None = None) -> str | None:
        """The text of an answer; None for one that is no success, or longer than ``most`` bytes."""
        body = bytearray()
        async with (
            asyncio.timeout(self.options.timeout),
            (client or self.watcher).stream(method, address, timeout=None) as response,
        ):
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > most:
                    return None
        return body.decode(errors="replace") if response.is_success else None


def read_key(variable: str) -> str:
    """The API key in an environment variable; empty for none.

    Raises:
        UsageError: there is no such variable, or no header can hold what is in it. The key itself is never said.
    """
    if not variable:
        return ""
    key = os.environ.get(variable, "")
    if not key:
        raise UsageError(f"--api-key-env {variable}: there is no such environment variable, or it is empty")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError(
            f"--api-key-env {variable}: its value is no key: it must be of ASCII characters, without blanks"
        )
    return key


def _model_names(text: str | None) -> list[str]:
    """The names in a list of models, as OpenAI's API has it; none where it is something else."""
    try:
        document = json.loads(text or "")
    except (ValueError, RecursionError):
        return []
    data = document.get("data") if isinstance(document, dict) else None
    listed = data[:MOST_MODELS] if isinstance(data, list) else []
    names = [entry.get("id") for entry in listed if isinstance(entry, dict)]
    return [name for name in names if isinstance(name, str) and len(name) <= LONGEST_NAME]


def _listed(names: Sequence[str]) -> str:
    """A few names, for a line."""
    few = ", ".join(in_one_line(name) for name in names[:5])
    return few if len(names) <= 5 else f"{few} and {len(names) - 5} more"
