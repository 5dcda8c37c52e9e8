"""The other ranks: do what rank 0 does, on their parts of the model, and tell nobody."""

from __future__ import annotations

from runners.base import Request, Response
from runners.local import LocalRunner, build_runners
from runners.parallel.commands import NOTHING, Answer, End, Reset, Setup, digest
from runners.parallel.group import broadcast, joined, noticing_loss, require_devices
from runners.ranks import Launch, RanksDiffer


def follow(launch: Launch) -> None:
    """Follow rank 0 until it ends.

    Raises:
        RankLost: another process is gone.
        RanksDiffer: an answer is not that of rank 0.
        UsageError: the model cannot be loaded here, or the processes of this machine have no device each.
    """
    with joined(launch):
        setup = broadcast()
        require_devices(launch, setup.model.device)
        runners = _build(setup)
        before, request = NOTHING, None
        while True:
            command = broadcast()
            if isinstance(command, Reset):
                runners[command.place].reset()
                continue
            assert isinstance(command, Answer | End)
            if command.before != before:
                raise RanksDiffer("the processes of the model answered differently: their machines are not alike")
            if isinstance(command, End):
                return
            request = command.request or request
            assert request is not None
            before = digest(_answer(runners[command.place], request))


def _build(setup: Setup) -> list[LocalRunner]:
    """Load the part of the model, make the runners, and measure the device when rank 0 does."""
    model = setup.model.load()
    runners = build_runners(setup.specs, model, setup.reference, setup.adopt)
    model.ceilings()
    return runners


def _answer(runner: LocalRunner, request: Request) -> Response:
    with noticing_loss():
        return runner.answer(request)
