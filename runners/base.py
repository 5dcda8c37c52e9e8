"""The contract of a runner: something that answers requests and says what that took. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from runners.endpoint.first_tokens import FirstTokens
from runners.records import CacheStats, ComputedMedium, Demand, Repair, Served, Status, Timing
from workloads.records import Media, Message


@dataclass(frozen=True)
class Request:
    """One turn to answer: the whole conversation so far, media as encoded bytes.

    Attributes:
        adoptable: whether runners may take over from each other what they would compute alike.
        leaves_no_trace: whether a store that outlives the runner is neither read nor filled, as for warm-up.
    """

    id: str
    messages: tuple[Message, ...]
    max_new_tokens: int
    adoptable: bool = False
    leaves_no_trace: bool = False


@dataclass(frozen=True)
class Response:
    """The answer, or why there is none.

    Attributes:
        first_logits: the first token's logits, ``(vocabulary,)`` float32, for divergence; never stored.
        error: one line for people when ``status`` is not OK.
        computed: of each medium of the prompt, in order, which tokens were computed.
        demand: what the work asked of the device.
        peak_bytes: of the model, the runner's stores and the request; None where the device does not tell.
        repair: what a method that estimates its risk decided.
        adopted: whether it was taken over from another runner, which would have computed the same; then nothing is
            known of time and peak memory.
        first_tokens: the likeliest first tokens where only they are known, of a server.
        served: what a server told of the request.
    """

    status: Status
    text: str | None = None
    token_ids: tuple[int, ...] = ()
    first_logits: NDArray[np.float32] | None = None
    timing: Timing | None = None
    cache: CacheStats | None = None
    error: str | None = None
    computed: tuple[ComputedMedium, ...] = ()
    demand: Demand | None = None
    peak_bytes: int | None = None
    repair: Repair | None = None
    adopted: bool = False
    first_tokens: FirstTokens | None = None
    served: Served | None = None


class Runner(Protocol):
    """Answers requests one at a time and keeps its own stores between them.

    ``answer`` never raises for what a request contains: a request that cannot be answered is a ``Response``
    with another status. It returns after all work it left behind is done, so that nothing of it runs on
    while another runner is being timed.
    """

    @property
    def label(self) -> str:
        """The unique name of this runner in a run."""
        ...

    def answer(self, request: Request) -> Response:
        """Answer ``request`` and update the stores."""
        ...

    def reset(self) -> None:
        """Forget everything stored."""
        ...

    def describe(self) -> dict[str, Any]:
        """Settings for the manifest, as plain types."""
        ...


@runtime_checkable
class Primer(Protocol):
    """A runner that may be able to store media without answering a request about them."""

    @property
    def primes(self) -> bool:
        """Whether it can: what it stores then of a medium is what it would store behind an answer."""
        ...

    def prime(self, media: Sequence[Media], kept: Sequence[Media]) -> None:
        """Store those media of a request that are ``kept``; what goes wrong, requests that show them again tell."""
        ...


def primer(runner: Runner) -> Primer | None:
    """Return a runner as one that stores media without an answer; None if it cannot."""
    return runner if isinstance(runner, Primer) and runner.primes else None
