"""End on SIGTERM and SIGHUP as on Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
APART = 1.0  # seconds: service managers send both signals at once


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt in the body when a signal asks the process to end.

    A signal that the caller has ignored, as nohup does, stays ignored. Only the main thread can do this; in another
    one nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    last = -APART

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal last
        before, last = last, time.monotonic()
        if last - before >= APART:
            raise KeyboardInterrupt(signal.Signals(number).name)

    given = {number: signal.getsignal(number) for number in ENDING}
    changed = {number: handler for number, handler in given.items() if handler is signal.SIG_DFL}
    try:
        for number in changed:
            signal.signal(number, interrupt)
        yield
    finally:
        for number, handler in changed.items():
            signal.signal(number, handler)
