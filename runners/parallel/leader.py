"""Rank 0: leads the other processes of a model through everything that its own runners do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from runners.base import Request, Response, Runner
from runners.parallel.commands import NOTHING, Answer, End, Reset, Setup, digest
from runners.parallel.group import broadcast, joined, noticing_loss, require_devices
from runners.ranks import Launch


class Leader:
    """Tells the others what to do before this process does it, too."""

    def __init__(self) -> None:
        self._request: Request | None = None
        self._before = NOTHING

    def lead(self, runners: Sequence[Runner]) -> list[Runner]:
        """Wrap runners, in the order of their specs, so that the others follow them."""
        return [LeadingRunner(self, place, runner) for place, runner in enumerate(runners)]

    def answer(self, place: int, runner: Runner, request: Request) -> Response:
        """Answer a request together with the others."""
        broadcast(Answer(place, None if request is self._request else request, self._before))
        self._request = request
        with noticing_loss():
            response = runner.answer(request)
        self._before = digest(response)
        return response

    def reset(self, place: int, runner: Runner) -> None:
        """Forget what a runner stored, together with the others."""
        broadcast(Reset(place))
        runner.reset()

    def end(self) -> None:
        """Let the others end."""
        broadcast(End(self._before))


class LeadingRunner:
    """See ``Runner``: one whose part of the model is here, and which the other processes follow."""

    def __init__(self, leader: Leader, place: int, runner: Runner) -> None:
        self._leader, self._place, self._runner = leader, place, runner

    @property
    def label(self) -> str:
        """See ``Runner``."""
        return self._runner.label

    def answer(self, request: Request) -> Response:
        """See ``Runner``."""
        return self._leader.answer(self._place, self._runner, request)

    def reset(self) -> None:
        """See ``Runner``."""
        self._leader.reset(self._place, self._runner)

    def describe(self) -> dict[str, Any]:
        """See ``Runner``."""
        return self._runner.describe()


@contextmanager
def leading(launch: Launch, setup: Setup) -> Iterator[Leader]:
    """Lead the other processes in the body, which loads the model and makes the runners of ``setup``.

    Raises:
        RankLost: another process is gone.
        UsageError: the processes of this machine have no device each.
    """
    require_devices(launch, setup.model.device)
    with joined(launch):
        broadcast(setup)
        leader = Leader()
        yield leader
        leader.end()
