"""Options of a server as a runner: where it is, which model it serves, and in which state its caches are asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from runners.defaults import from_setting
from workloads.reading import brief

State = Literal["stream", "cold", "same-image", "repeat"]
"""How caches are left or made before a request, see ``Endpoint.state``."""

MOST_LOGPROBS = 1_000


@dataclass(frozen=True)
class Endpoint:
    """Ask an OpenAI-compatible chat server (vLLM, SGLang and others); needs url=.

    Attributes:
        url: the server's API, as in ``http://127.0.0.1:8000/v1``.
        served: the model's name there; empty for the only one that it serves.
        state: ``stream`` leaves the caches as the requests before it did. Of requests whose media all came before, the
            others make what they are named for: ``cold`` empties the caches before each, ``same-image`` then sends its
            media behind another text, ``repeat`` the very same request.
        reset: whether the caches are emptied before a stream. Not so where others use the server at the same time.
        logprobs: how many first tokens the server is asked to give with their log-probabilities, for the divergence;
            it takes the server time.
        metrics: address of the server's Prometheus counters; empty for ``/metrics`` above the API.
        lossless: whether the server claims to change no answer: a difference is then told as a fault.
        timeout: seconds after which a request is given up.
        api_key_env: environment variable with the key; empty for none.
    """

    url: str
    served: str = ""
    state: State = "stream"
    reset: bool = True
    logprobs: int = 0
    metrics: str = ""
    lossless: bool = False
    timeout: float = from_setting("timeout")
    api_key_env: str = from_setting("api_key_env")

    def __post_init__(self) -> None:
        """ValueError for an address that is none, or that holds a secret, or options that contradict each other."""
        _require_address("url", self.url, "http://127.0.0.1:8000/v1")
        if self.metrics:
            _require_address("metrics", self.metrics, "http://127.0.0.1:8081/metrics")
        if self.state != "stream" and not self.reset:
            raise ValueError(f"state={self.state} is made by emptying the server's caches: drop reset=false")
        if not 0 <= self.logprobs <= MOST_LOGPROBS:
            raise ValueError(f"logprobs must be between 0 and {MOST_LOGPROBS}")

    @property
    def api(self) -> str:
        """The address of the API, without a slash at its end."""
        return self.url.rstrip("/")

    @property
    def completions(self) -> str:
        """The address that answers chats."""
        return f"{self.api}/chat/completions"

    @property
    def root(self) -> str:
        """The address above the API, where counters and resets are."""
        return self.api.removesuffix("/v1")

    @property
    def counters(self) -> str:
        """The address of the counters."""
        return self.metrics or f"{self.root}/metrics"


def _require_address(name: str, address: str, example: str) -> None:
    """ValueError for what is no address, or holds a secret."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{name} must be like {example}, not {brief(address)}")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{name} must not hold a name or password, which would be kept: use --api-key-env")
    if not address.isprintable() or not address.isascii():
        raise ValueError(f"{name} must be of printable ASCII characters")
    if parts.port == 0:
        raise ValueError(f"{name} has port 0, which no server listens on")
