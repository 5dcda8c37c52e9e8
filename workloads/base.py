"""The contract of a workload: a seeded stream of conversations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from workloads.records import Conversation, Popularity
from workloads.seeding import Split


@dataclass(frozen=True)
class StreamOptions:
    """What shapes a stream.

    Attributes:
        samples: requests (turns) to yield; the last conversation is cut where they end.
        seed: another seed is another stream.
        reuse_rate: share (0..1) of the conversations that are about media shown before.
        split: benchmarks read ``bench``; only the training recipe reads ``train``.
        popularity: which media come back: each case's own, and then no more (``own``), all alike (``even``), or some
            often (``zipf``). Data sets, whose cases are their own anyway, take ``own`` as ``even``.
        distinct: number of cases in the working set that conversations are about, each drawn anew among all of them
            (alike, or by ``zipf``); then ``reuse_rate`` says nothing. 0: no such set. Cards alone take it.
    """

    samples: int
    seed: int = 0
    reuse_rate: float = 0.8
    split: Split = "bench"
    popularity: Popularity = "zipf"
    distinct: int = 0


@dataclass(frozen=True)
class CaseSize:
    """What a case costs whose media come back once.

    Attributes:
        cold: conversations that bring its media.
        requests: requests (turns) in all, those that bring them and those that come back.
    """

    cold: int
    requests: int

    @property
    def reuse_rate(self) -> float:
        """The ``StreamOptions.reuse_rate`` with which one conversation comes back."""
        return 1 / (self.cold + 1)


@dataclass(frozen=True)
class WorkloadDefaults:
    """Options of a workload's stream that hold where the user gives none, and how its media come back.

    Attributes:
        max_new_tokens: longest answer.
        samples: requests (turns).
        follow_up: requests beyond those that bound a loss, of one runner alone, where ``samples`` is not given.
        reuse_rate: see ``StreamOptions``; that of ``case`` where the popularity is ``own``.
        popularity: see ``StreamOptions``.
        recurrence: how media come back, in words.
        benchmark_score: how the benchmark scores answers, in words, where that is not how they are scored here.
        left_out: which parts are not asked, in words, of data sets of which a copy has not all.
        case: the size of a case, of workloads that can make as many cases as are asked for.
        recurs_by: what alone makes media come back, in words, of workloads that take neither a reuse rate nor a
            popularity.
    """

    max_new_tokens: int = 4
    reuse_rate: float = 0.8
    popularity: Popularity = "zipf"
    recurrence: str = "as the workload has it"
    benchmark_score: str | None = None
    case: CaseSize | None = None
    samples: int = 32
    follow_up: int = 0
    left_out: str | None = None
    recurs_by: str | None = None

    def usual_reuse_rate(self, popularity: Popularity) -> float:
        """The reuse rate that holds where none is given."""
        return self.case.reuse_rate if self.case is not None and popularity == "own" else self.reuse_rate


CARDS_RECUR = "media come back in another order or company, or after other text"
ONE_COLD = WorkloadDefaults(
    popularity="own", recurrence=CARDS_RECUR, case=CaseSize(cold=1, requests=2), samples=24, follow_up=102
)
"""Of workloads that show all media of a case in one conversation of one turn."""
TWO_COLD = WorkloadDefaults(
    popularity="own", recurrence=CARDS_RECUR, case=CaseSize(cold=2, requests=3), samples=36, follow_up=156
)
"""Of workloads in which media come back beside others, so that it takes two requests to show them."""


class Workload(Protocol):
    """A generator of conversations. Frozen, so one instance always means the same stream."""

    @property
    def name(self) -> str:
        """As on the command line; of a file, without its folder."""
        ...

    @property
    def defaults(self) -> WorkloadDefaults:
        """The options that hold where the user gives none."""
        ...

    def conversations(self, options: StreamOptions) -> Iterator[Conversation]:
        """Yield conversations with ``options.samples`` turns in all, fewer only where a file ends.

        Equal options give equal conversations, to the byte. A shorter stream is a prefix of a longer one.
        """
        ...
