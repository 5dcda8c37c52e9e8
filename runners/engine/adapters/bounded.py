"""Bound the time and the memory of code that came with a model, such as its chat template."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

STATM = Path("/proc/self/statm")  # Linux; elsewhere the address space is not bounded


class Exceeded(ValueError):
    """Code took more time or memory than it may; the text is the end of a sentence about it."""


class _TimeUp(BaseException):
    """Raised inside the code: not an Exception, so that nothing within catches it."""


@contextmanager
def bounded(seconds: float, room: int) -> Iterator[None]:
    """Stop the body after some ``seconds``, and before it takes more than ``room`` bytes beyond what is taken already.

    In the main thread a timer interrupts it, loops within one instruction included; in other threads, and on systems
    without such timers, the body is traced line by line.

    Raises:
        Exceeded: it was stopped.
    """
    timed = threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer")
    try:
        with _bounded_memory(room), _timer(seconds) if timed else _trace(seconds):
            yield
    except _TimeUp:
        raise Exceeded(f"takes more than {seconds:g} s") from None
    except MemoryError:
        raise Exceeded(f"takes more than {room >> 20} MiB") from None


@contextmanager
def _timer(seconds: float) -> Iterator[None]:
    """Interrupt the body by the process's real-time timer."""
    armed = True

    def ring(*_: Any) -> None:
        if armed:
            raise _TimeUp

    before = signal.signal(signal.SIGALRM, ring)
    try:
        pending, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            armed = False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before if before is not None else signal.SIG_DFL)
        if pending:
            signal.setitimer(signal.ITIMER_REAL, pending, interval)


@contextmanager
def _trace(seconds: float) -> Iterator[None]:
    """Look at the clock at every line of the body."""
    end, before = time.monotonic() + seconds, sys.gettrace()

    def look(frame: FrameType, event: str, argument: Any) -> Any:
        if time.monotonic() > end:
            raise _TimeUp
        return look

    sys.settrace(look)
    try:
        yield
    finally:
        sys.settrace(before)


@contextmanager
def _bounded_memory(room: int) -> Iterator[None]:
    """Bound the address space of the process; MemoryError beyond."""
    try:
        import resource

        taken = int(STATM.read_bytes().split()[0]) * resource.getpagesize()
    except (ImportError, OSError, ValueError):
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = min(limit for limit in (taken + room, soft, hard) if limit != resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
