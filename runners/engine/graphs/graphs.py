"""Recordings of a model: looked up by their sizes, and made behind the answer that needed them first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from runners.engine.graphs.arena import Arena
from runners.engine.graphs.recorder import Recorder, Replay, Work

MOST = 512  # recordings kept; where keys come from the host there is one for each layer and size


@dataclass(frozen=True)
class _Pending:
    work: Work
    tensors: tuple[Any, ...]


class Graphs:
    """Recordings on one workspace, with eviction of those least recently used.

    Args:
        make_recorder: called for a new recorder after all recordings were dropped.
        most: recordings that are kept.

    Attributes:
        arena: memory for inputs and results of recorded work.
    """

    def __init__(self, make_recorder: Callable[[], Recorder], arena: Arena, most: int = MOST) -> None:
        self.arena = arena
        self._make_recorder, self._most = make_recorder, most
        self._recorder: Recorder | None = None
        self._recorded: OrderedDict[Hashable, Replay] = OrderedDict()
        self._pending: dict[Hashable, _Pending] = {}

    def __len__(self) -> int:
        """Number of recordings."""
        return len(self._recorded)

    @property
    def nbytes(self) -> int:
        """Memory that is held for recorded work, between requests as well: inputs, and intermediate results."""
        return self.arena.nbytes + (0 if self._recorder is None else self._recorder.nbytes)

    def run(self, key: Hashable, work: Work, *tensors: Any) -> None:
        """Run ``work(*tensors)``: in one launch where it was recorded; else eagerly, and note it for recording.

        Args:
            key: everything that the launches depend on; work with an equal key has the same tensors.
        """
        replay = self._recorded.get(key)
        if replay is not None:
            self._recorded.move_to_end(key)
            replay()
            return
        work(*tensors)
        self._pending[key] = _Pending(work, tensors)

    def record_pending(self) -> int:
        """Record all noted work; returns how many recordings were made."""
        pending, self._pending = self._pending, {}
        for key, item in pending.items():
            self._recorder = self._recorder or self._make_recorder()
            self._recorded[key] = self._recorder.record(item.work, item.tensors)
            if len(self._recorded) > self._most:
                self._recorded.popitem(last=False)
        return len(pending)

    def clear(self) -> None:
        """Drop all recordings, because the memory that they refer to is freed."""
        self._recorded.clear()
        self._pending.clear()
        self._recorder = None
