"""What rank 0 tells the others: which model and runners they make, and then what they do, one thing after the other."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from runners.base import Request, Response
from runners.cluster.cell import ModelSettings
from runners.registry import RunnerSpec


@dataclass(frozen=True)
class Setup:
    """How the model is loaded and which runners are made of it, see ``runners.local.build_runners``."""

    model: ModelSettings
    specs: tuple[RunnerSpec, ...]
    reference: str
    adopt: bool


@dataclass(frozen=True)
class Answer:
    """Answer a request.

    Attributes:
        place: of the runner among all.
        request: None for the one that was asked last; runners take over from each other within one and the same.
        before: ``digest`` of the response before this one.
    """

    place: int
    request: Request | None
    before: str


@dataclass(frozen=True)
class Reset:
    """Forget what a runner stored."""

    place: int


@dataclass(frozen=True)
class End:
    """Nothing is left to do; ``before``: see ``Answer``."""

    before: str


NOTHING = ""
"""The digest before the first response."""


def digest(response: Response) -> str:
    """Hash what must be the same on all ranks of a response: status, answer, and what was computed for it."""
    said = (response.status, response.token_ids, response.computed, response.repair, response.adopted)
    return hashlib.sha256(repr(said).encode()).hexdigest()
