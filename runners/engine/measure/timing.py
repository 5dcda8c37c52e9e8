"""The one definition of TTFT, and of where it goes.

TTFT runs from the moment a request with encoded media is handed over until its first output token id is on the
host, with the device synchronised at both ends. It is cut into parts without gaps: a part ends where the
next begins, so the parts add up. On a GPU the cuts are CUDA events, which do not stall the host.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Literal

import torch

Part = Literal["prepare", "preprocess", "encode", "load", "select", "prefill", "head"]
Stretch = Literal[Part, "rehearse"]
PARTS: tuple[Part, ...] = ("prepare", "preprocess", "encode", "load", "select", "prefill", "head")


class TtftClock:
    """Started when made; ``cut`` books the time since the last cut to a part.

    A pass of the text while planning, ``rehearse``, belongs to ``select`` or, where it gives the answer, to
    ``prefill``: ``book`` says so once that is known.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._cuts: list[tuple[Stretch, float | torch.cuda.Event]] = []
        synchronize(device)
        self._start_host = time.perf_counter()
        self._start = self._now()

    def cut(self, part: Stretch) -> None:
        """End a stretch of work that belongs to ``part``."""
        self._cuts.append((part, self._now()))

    def book(self, part: Part) -> None:
        """Book what was rehearsed so far to ``part``."""
        self._cuts = [(part if cut == "rehearse" else cut, at) for cut, at in self._cuts]

    def stop(self) -> tuple[float, dict[Part, float]]:
        """TTFT and its parts in milliseconds; call it when the first token is on the host."""
        synchronize(self._device)
        total = (time.perf_counter() - self._start_host) * 1e3
        parts: dict[Part, float] = defaultdict(float)
        before = self._start
        for part, at in self._cuts:
            assert part != "rehearse", "a rehearsal was not booked"
            parts[part] += _milliseconds(before, at)
            before = at
        return total, parts

    def _now(self) -> float | torch.cuda.Event:
        if self._device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


def synchronize(device: torch.device) -> None:
    """Wait until the device has nothing left to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _milliseconds(before: float | torch.cuda.Event, after: float | torch.cuda.Event) -> float:
    if isinstance(before, torch.cuda.Event):
        assert isinstance(after, torch.cuda.Event)
        return float(before.elapsed_time(after))
    assert isinstance(after, float)
    return (after - before) * 1e3
