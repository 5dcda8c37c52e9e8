"""Write behind: a thread that does the disk's work after answers, from a bounded queue.

A job that finds no room in the queue is dropped: storing never makes an answer wait.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class _Job:
    run: Callable[[], None]
    nbytes: int


class WriteBehind:
    """Runs jobs one after the other in a thread of its own, which starts with the first.

    Args:
        most_bytes: that the jobs in the queue may hold; one job alone may hold more.
        most_jobs: in the queue.
    """

    def __init__(self, most_bytes: int = 1 << 29, most_jobs: int = 256) -> None:
        self._most_bytes, self._most_jobs = most_bytes, most_jobs
        self._jobs: deque[_Job] = deque()
        self._nbytes = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._failed: BaseException | None = None

    def submit(self, run: Callable[[], None], nbytes: int = 0) -> bool:
        """Queue a job; False where there is no room for it, or nothing more is run."""
        with self._changed:
            full = self._nbytes + nbytes > self._most_bytes or len(self._jobs) >= self._most_jobs
            if (full and self._jobs) or self._failed is not None:
                return False
            self._jobs.append(_Job(run, nbytes))
            self._nbytes += nbytes
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="disk-tier", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return True

    def drain(self, seconds: float) -> bool:
        """Wait until every job was run, no longer than ``seconds``; whether it was.

        Raises:
            BaseException: what a job raised; no job is run after that.
        """
        with self._changed:
            done = self._changed.wait_for(lambda: not self._jobs or self._failed is not None, seconds)
            if self._failed is not None:
                raise self._failed
        return done

    def _work(self) -> None:
        """Run jobs for ever; the first stays in the queue until it was run."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._jobs))
                job = self._jobs[0]
            try:
                job.run()
            except BaseException as error:  # raised again by ``drain``
                self._failed = error
            with self._changed:
                self._jobs.popleft()
                self._nbytes -= job.nbytes
                if self._failed is not None:
                    self._jobs.clear()
                self._changed.notify_all()
            if self._failed is not None:
                return
            del job
