"""The recorded work of a model: looked up by its sizes, recorded behind the answer that needed it first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from runners.engine.graphs.arena import Arena
from runners.engine.graphs.recorder import Recorder, Replay, Work

MOST = 512  # recordings held at once: one for each layer, where keys come from the host, of many sizes


@dataclass(frozen=True)
class _Pending:
    work: Work
    tensors: tuple[Any, ...]


class Graphs:
    """Recordings on one workspace, those not used for longest dropped first.

    Args:
        make_recorder: called anew whenever all recordings are dropped.
        most: how many are held.

    Attributes:
        arena: where recorded work finds its inputs and leaves its results.
    """

    def __init__(self, make_recorder: Callable[[], Recorder], arena: Arena, most: int = MOST) -> None:
        self.arena = arena
        self._make_recorder, self._most = make_recorder, most
        self._recorder: Recorder | None = None
        self._recorded: OrderedDict[Hashable, Replay] = OrderedDict()
        self._pending: dict[Hashable, _Pending] = {}

    def __len__(self) -> int:
        """How many are held."""
        return len(self._recorded)

    def run(self, key: Hashable, work: Work, *tensors: Any) -> None:
        """Do ``work(*tensors)``: as one launch where it was recorded, else as it is, to be recorded later.

        Args:
            key: names the work, with whatever its launches depend on; work of the same name has the same tensors.
        """
        replay = self._recorded.get(key)
        if replay is not None:
            self._recorded.move_to_end(key)
            replay()
            return
        work(*tensors)
        self._pending[key] = _Pending(work, tensors)

    def record_pending(self) -> int:
        """Record what was done since the last call and was not recorded yet; how much it was."""
        pending, self._pending = self._pending, {}
        for key, item in pending.items():
            self._recorder = self._recorder or self._make_recorder()
            self._recorded[key] = self._recorder.record(item.work, item.tensors)
            if len(self._recorded) > self._most:
                self._recorded.popitem(last=False)
        return len(pending)

    def clear(self) -> None:
        """Drop everything: the memory it refers to is given back."""
        self._recorded.clear()
        self._pending.clear()
        self._recorder = None
