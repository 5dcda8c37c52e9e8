"""Run tasks in processes of their own, all from one moment on, and hand over what they find as it comes.

Processes are spawned, not forked: a fork would copy locks that threads of this process hold. Moments are on
``perf_counter``'s clock, which all processes of a machine share.
"""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from queue import SimpleQueue
from time import perf_counter
from typing import Any, Protocol

from workloads.errors import UsageError

START_S = 120.0  # in which a process must be ready
AHEAD_S = 0.05  # so much later than the last process is ready, all begin
END_S = 5.0

READY, FOUND, FAILED, DONE = "ready", "found", "failed", "done"
"""What a process says: it waits for the start; a value that it found; the traceback of its failure; that it ends."""


class Task(Protocol):
    """What a process does; pickled on its way there."""

    def run(self, begin: Callable[[], float], put: Callable[[Any], object]) -> None:
        """Get ready, start at the moment that ``begin`` returns, on ``perf_counter``'s clock, ``put`` what is found."""
        ...


def run_together(name: str, tasks: Sequence[Task]) -> Generator[Any]:
    """Run each task in a process, and yield what they find in the order in which it arrives here.

    No process outlives the iterator: they are killed where it is closed or interrupted, and where one of them is lost;
    and they end by themselves when this process is gone.

    Args:
        name: of one process, for messages.

    Raises:
        UsageError: a process was lost, or did not start.
        RuntimeError: a task raised, with its traceback.
    """
    context = get_context("spawn")
    processes: dict[Connection[Any, Any], SpawnProcess] = {}
    try:
        for number, task in enumerate(tasks, 1):
            mine, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, task), name=f"{name} {number} of {len(tasks)}")
            process.daemon = True
            with _interrupts_held():
                process.start()
            theirs.close()
            processes[mine] = process
        for pipe, process in processes.items():
            if not pipe.poll(START_S):
                raise UsageError(
                    f"{process.name} was not ready within {START_S:g} seconds: start another run, with fewer"
                )
            _receive(pipe, process)
        start = perf_counter() + AHEAD_S
        for pipe in processes:
            with suppress(OSError):  # a process that was lost is told of below
                pipe.send(start)
        yield from _found(processes)
    finally:
        for process in processes.values():
            process.kill()
        for pipe, process in processes.items():
            process.join()
            pipe.close()


def _found(processes: dict[Connection[Any, Any], SpawnProcess]) -> Iterator[Any]:
    left = dict(processes)
    while left:
        ready = wait([*left])
        for pipe in [pipe for pipe in left if pipe in ready]:
            kind, value = _receive(pipe, left[pipe])
            if kind == FOUND:
                yield value
            else:
                del left[pipe]


def _receive(pipe: Connection[Any, Any], process: SpawnProcess) -> tuple[str, Any]:
    """The next message of a process."""
    try:
        kind, value = pipe.recv()
    except (EOFError, OSError) as error:
        process.join(END_S)
        code = process.exitcode or 0
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        raise UsageError(
            f"{process.name} ended too early ({how}): start another run, if memory is short with fewer"
        ) from error
    if kind == FAILED:
        raise RuntimeError(f"{process.name} failed\n{value}")
    return kind, value


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back, for this thread and what it starts: a process that starts up does not know how to take it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # starting it lets Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(parent: Connection[Any, Any], task: Task) -> None:
    """Run a task in a process of its own. Values are sent by a thread, so that the parent does not delay the task."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent takes it, and ends its processes
    with suppress(EOFError, OSError):  # the parent is gone
        messages: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        sender = threading.Thread(target=_send, args=(messages, parent))
        sender.start()

        def begin() -> float:
            messages.put((READY, None))
            start: float = parent.recv()
            threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
            return start

        try:
            task.run(begin, lambda value: messages.put((FOUND, value)))
        except BaseException:
            messages.put((FAILED, traceback.format_exc()))
        else:
            messages.put((DONE, None))
        sender.join()


def _send(messages: SimpleQueue[tuple[str, Any]], parent: Connection[Any, Any]) -> None:
    with suppress(OSError):  # the parent is gone
        while True:
            message = messages.get()
            parent.send(message)
            if message[0] in (FAILED, DONE):
                return


def _end_with(parent: Connection[Any, Any]) -> None:
    """End this process when its parent does, which says nothing after the start."""
    with suppress(EOFError, OSError):
        parent.recv()
    os._exit(1)
