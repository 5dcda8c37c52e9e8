"""What runners of the built-in engine have in common."""

from __future__ import annotations

from collections.abc import Sequence

from runners.base import Request, Response
from runners.engine.engine import Engine
from workloads.records import Media


class EngineRunner:
    """A part of ``Runner``, and ``Primer``: an engine answers, stores and forgets."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def answer(self, request: Request) -> Response:
        """See ``Runner``."""
        return self._engine.answer(request)

    def reset(self) -> None:
        """See ``Runner``."""
        self._engine.reset()

    @property
    def primes(self) -> bool:
        """See ``Primer``."""
        return self._engine.primes

    def prime(self, media: Sequence[Media], kept: Sequence[Media]) -> None:
        """See ``Primer``."""
        self._engine.prime(media, kept)
