"""The disk tier of a process: one directory, one thread that writes, and counts of what happened."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runners.engine.store.disk.folder import StoreFolder
from runners.engine.store.disk.settings import DiskSettings
from runners.engine.store.disk.writer import WriteBehind

DRAIN_SECONDS = 60.0
LOOK_AGAIN_SECONDS = 1.0
"""After so long what other processes wrote is counted again."""

Tell = Callable[[str], None]


@dataclass
class DiskCounts:
    """What happened to entries on disk in this process.

    Attributes:
        read, missed: entries that were asked for and found, and that were not.
        bad: that were found damaged or foreign, and removed.
        written: entries written.
        dropped: not written, because the queue was full or the disk refused.
        evicted: removed by this process to keep the budget.
    """

    read: int = 0
    missed: int = 0
    bad: int = 0
    written: int = 0
    dropped: int = 0
    evicted: int = 0


class DiskStore:
    """A directory of entries that the runners of a process share, each in scopes of its own.

    Args:
        tell: is told once when the disk refuses to be written to; the run then goes on with memory alone.

    Raises:
        UsageError: the directory cannot be one of entries.
    """

    def __init__(self, settings: DiskSettings, tell: Tell, queue: WriteBehind | None = None) -> None:
        self.settings, self.counts, self.writes = settings, DiskCounts(), True
        self._tell, self._queue = tell, queue or WriteBehind()
        self._nbytes, self._looked = 0, float("-inf")
        self.folder = StoreFolder(settings.path)
        try:
            self.folder.make()
        except OSError as error:
            self._give_up(error)

    def behind(self, job: Callable[[], None], nbytes: int = 0) -> bool:
        """Run a job behind the answer; False where there is no room for it."""
        return self._queue.submit(job, nbytes)

    def drain(self, seconds: float = DRAIN_SECONDS) -> bool:
        """Wait until all that was put is written, no longer than ``seconds``; whether it is."""
        return self._queue.drain(seconds)

    def close(self) -> str:
        """Wait for what is still to be written, within bounds; says in a line what happened to entries."""
        done = self.drain()
        counts = self.counts
        parts = [f"{counts.read} entries read, {counts.written} written"]
        parts += [f"{counts.bad} damaged ones dropped"] if counts.bad else []
        parts += [f"{counts.evicted} evicted"] if counts.evicted else []
        parts += [f"{counts.dropped} not stored"] if counts.dropped else []
        parts += [] if done else ["some still to be written"]
        return f"disk tier {self.settings.path}: {', '.join(parts)}"

    def write(self, scope: str, name: str, pieces: Sequence[bytes | memoryview]) -> None:
        """Write a file within the budget, in the thread behind; what the disk refuses ends all writing."""
        nbytes = sum(len(piece) for piece in pieces)
        if not self.writes or nbytes > self.settings.budget:
            self.counts.dropped += 1
            return
        try:
            self._make_room(nbytes)
            self.folder.write(scope, name, pieces)
        except OSError as error:
            self.counts.dropped += 1
            self._give_up(error)
            return
        self._nbytes += nbytes
        self.counts.written += 1

    def _make_room(self, nbytes: int) -> None:
        """Evict until ``nbytes`` more fit the budget; the directory is only looked through where that may be needed."""
        now = time.monotonic()
        if self._nbytes + nbytes > self.settings.budget or now - self._looked > LOOK_AGAIN_SECONDS:
            self._nbytes, evicted = self.folder.shrink(self.settings.budget - nbytes)
            self.counts.evicted += evicted
            self._looked = time.monotonic()

    def _give_up(self, error: OSError) -> None:
        if self.writes:
            self.writes = False
            reason = error.strerror or type(error).__name__
            self._tell(
                f"--store-dir {self.settings.path} cannot be written to ({reason}): entries stay in memory alone"
            )
