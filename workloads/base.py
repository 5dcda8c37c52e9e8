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
        reuse_rate: chance (0..1) that a conversation is about media that were shown before.
        split: benchmarks read ``bench``; only the training recipe reads ``train``.
        popularity: which media come back: some often (``zipf``), or all alike (``even``).
    """

    samples: int
    seed: int = 0
    reuse_rate: float = 0.8
    split: Split = "bench"
    popularity: Popularity = "zipf"


@dataclass(frozen=True)
class WorkloadDefaults:
    """Options of a workload's stream that hold where the user gives none, and how its media come back.

    Attributes:
        max_new_tokens: longest answer.
        reuse_rate: see ``StreamOptions``.
        popularity: see ``StreamOptions``.
        recurrence: how media come back, in words.
        benchmark_score: how the benchmark scores answers, in words, where that is not how they are scored here.
    """

    max_new_tokens: int = 4
    reuse_rate: float = 0.8
    popularity: Popularity = "zipf"
    recurrence: str = "collections of media come back at random"
    benchmark_score: str | None = None


SYNTHETIC_DEFAULTS = WorkloadDefaults()


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
