"""Streams of rows are closed before the interpreter ends."""

from __future__ import annotations

import time
from collections.abc import Generator

from workloads.datasets import ending
from workloads.datasets.ending import OpenStreams


def test_streams_are_closed_at_the_end_and_their_reads_settle() -> None:
    closed = []

    def rows(name: str) -> Generator[int]:
        try:
            yield from range(9)
        finally:
            closed.append(name)

    streams = OpenStreams()
    with streams.reading(rows("read within a body")) as reader:
        next(reader)
    assert closed == ["read within a body"]
    left = streams.reading(rows("left open"))
    next(left.__enter__())
    start = time.monotonic()
    streams.close()
    assert closed == ["read within a body", "left open"]
    assert time.monotonic() - start >= ending.SETTLING_SECONDS * 0.9
