"""Decide on runners while they answer, with bounds that allow for looking; some runs then ask them no more."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from runners.records import Record, Status, Warmth
from vlcache_cli import console


@dataclass
class Deciding:
    """Watch the answers of one workload, see ``runners.session.Watch``.

    Attributes:
        judged: labels of the runners to be decided.
        finished: keys of the records of an earlier part of the run: their work counts as time spent, replay does not.
        decisions: what was decided so far, as the manifest keeps it.
        stops: whether a runner that is decided is asked no more. If not, what is decided so far is told and not kept:
            the run goes on, and its verdict rests on all of it.
        keep: called whenever a decision to be kept is new.
    """

    workload: str
    reference: str
    judged: Sequence[str]
    margin: float
    alpha: float
    finished: Container[str]
    decisions: list[dict[str, Any]]
    stops: bool
    keep: Callable[[], object]
    _spent_s: float = 0.0
    _start: float | None = None
    _scores: dict[str, dict[str, Record]] = field(default_factory=dict)
    _clusters: dict[str, set[str]] = field(default_factory=dict)
    _changes: dict[str, list[float]] = field(default_factory=dict)
    _requests: dict[str, int] = field(default_factory=dict)
    _done: set[str] = field(default_factory=set)

    def asks(self, label: str) -> bool:
        """Whether a runner is still asked: until it is decided; all others until everyone is."""
        if self._start is None:
            self._start = perf_counter()
        return not self.stops or (label not in self._done and len(self._done) < len(self.judged))

    def note(self, record: Record) -> None:
        """Take a record in, in the order of the stream; decide on its runner once the reference answered, too."""
        if record.key in self.finished:
            timing = record.timing
            self._spent_s += (
                0.0 if timing is None else (timing.ttft_ms + timing.decode_ms + (timing.store_ms or 0.0)) / 1e3
            )
            self._start = perf_counter()
        answers = self._scores.setdefault(record.request, {})
        answers[record.runner] = record
        base = answers.get(self.reference)
        if base is not None:
            for label in [record.runner] if record.runner != self.reference else [*answers]:
                if label in self.judged and label not in self._done:
                    self._compare(answers[label], base)

    @property
    def decided(self) -> int:
        """Runners that are decided so far."""
        return len(self._done)

    @property
    def seconds(self) -> float:
        """Since the workload began."""
        return self._spent_s + (0.0 if self._start is None else perf_counter() - self._start)

    def _compare(self, mine: Record, base: Record) -> None:
        from reports.statistics.sequential import SequentialChanges
        from reports.statistics.verdict import verdict_on

        label = mine.runner
        if mine.invalid is not None or base.invalid is not None:
            return
        self._requests[label] = self._requests.get(label, 0) + 1
        failed = mine.status is not Status.OK or base.status is not Status.OK
        comparable = mine.warmth is not Warmth.COLD or failed
        clusters = self._clusters.setdefault(label, set())
        if mine.score is None or base.score is None or not comparable or mine.cluster_id in clusters:
            return
        clusters.add(mine.cluster_id)
        changes = self._changes.setdefault(label, [])
        changes.append(mine.score - base.score)
        seen = SequentialChanges.in_order(changes, [str(place) for place in range(len(changes))])
        verdict = verdict_on(seen, self.margin, self.alpha)
        if verdict not in (None, "undecided"):
            self._done.add(label)
            if self.stops:
                self._keep(label, str(verdict))
            elif mine.key not in self.finished:
                self._tell(label, str(verdict))

    def _keep(self, label: str, verdict: str) -> None:
        """Keep what was decided, unless an earlier part of the run did, and say it."""
        if any((kept["workload"], kept["runner"]) == (self.workload, label) for kept in self.decisions):
            return
        found = {
            "workload": self.workload,
            "runner": label,
            "verdict": verdict,
            "requests": self._requests[label],
            "separate": len(self._changes[label]),
            "seconds": round(self.seconds, 3),
        }
        self.decisions.append(found)
        self.keep()
        self._tell(label, verdict)

    def _tell(self, label: str, verdict: str) -> None:
        found = verdict if self.stops else f"{verdict} so far"
        console.note(
            f"{self.workload}: {label} is {found} at {100 * self.margin:g} points after {self.seconds:.0f} seconds "
            f"and {self._requests[label]} requests ({len(self._changes[label])} separate)"
        )

    def end(self) -> None:
        """Say who is left undecided, where more requests could have been asked."""
        if not self.stops:
            return
        self.keep()
        left = [label for label in self.judged if label not in self._done]
        if left:
            console.note(
                f"{self.workload}: undecided at {100 * self.margin:g} points after {self.seconds:.0f} seconds: "
                f"{', '.join(left)}; raise --max-samples"
            )
