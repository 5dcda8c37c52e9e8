"""Close streams of rows before the interpreter ends, while the threads that read ahead for them can still finish.

Threads of pyarrow read Parquet files ahead through Python's file objects. One that does so while the interpreter is
taken down hangs the process, or ends it with "terminate called without an active exception" (apache/arrow#45214).
"""

from __future__ import annotations

import atexit
import gc
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from functools import cache
from typing import Any, TypeVar
from weakref import WeakSet

T = TypeVar("T")

SETTLING_SECONDS = 0.2  # for reads under way when a stream is closed: there is no way to wait for them


class OpenStreams:
    """Streams that are being read, and when the last one was closed."""

    def __init__(self) -> None:
        self._open: WeakSet[Generator[Any]] = WeakSet()
        self._settled = 0.0

    @contextmanager
    def reading(self, rows: Generator[T]) -> Iterator[Generator[T]]:
        """Close a stream at the end of the body, or of the process."""
        self._open.add(rows)
        try:
            with closing(rows):
                yield rows
        finally:
            self._settled = time.monotonic() + SETTLING_SECONDS

    def close(self) -> None:
        """Close all streams, and let their reads end."""
        for rows in list(self._open):
            rows.close()
            self._settled = time.monotonic() + SETTLING_SECONDS
        gc.collect()
        time.sleep(max(0.0, self._settled - time.monotonic()))


@cache
def open_streams() -> OpenStreams:
    """The streams of this process, closed at its end."""
    streams = OpenStreams()
    atexit.register(streams.close)
    return streams
