"""Open the request stream of each workload: its conversations, and the options that they were drawn with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from vlcache_cli import console
from vlcache_cli.config.stream import StreamConfig
from workloads.errors import UsageError

if TYPE_CHECKING:
    from workloads.base import Workload, WorkloadDefaults
    from workloads.records import Conversation


@dataclass(frozen=True)
class Stream:
    """The requests of one workload.

    Attributes:
        options: those that the user gave, else the defaults of the workload.
    """

    conversations: list[Conversation]
    options: WorkloadDefaults

    @property
    def turns(self) -> int:
        """Requests in all."""
        return sum(len(conversation.turns) for conversation in self.conversations)

    def places(self) -> Iterator[tuple[str, tuple[Conversation, int]]]:
        """The id of every turn, with its conversation and its place in it."""
        for conversation in self.conversations:
            for index, turn in enumerate(conversation.turns):
                yield turn.id, (conversation, index)

    def describe(self) -> dict[str, Any]:
        """For the manifest, as plain types."""
        metrics = {turn.answer.metric for conversation in self.conversations for turn in conversation.turns}
        given = {name: value for name, value in asdict(self.options).items() if value is not None}
        return {**given, "metrics": sorted(metrics)}


def require_legible(model: str, workloads: Sequence[str]) -> None:
    """UsageError when a workload shows what the model is known not to be able to read; most models are not known."""
    from runners.models.choices import READS
    from workloads.registry import contents_of

    readable = READS.get(model)
    for workload in workloads:
        contents = contents_of(workload)
        if readable is not None and contents not in (None, readable):
            fitting = next(name for name, reads in READS.items() if reads == contents)
            raise UsageError(
                f"the model '{model}' cannot read {contents} in pictures: workload '{workload}' needs "
                f"--model {fitting} or a model of your own"
            )


def open_streams(config: StreamConfig, max_new_tokens: int | None = None) -> dict[str, Stream]:
    """The stream of each workload that is asked for, by its name.

    Raises:
        UsageError: there is no such workload, or it cannot be read.
    """
    from workloads.datasets.sources import Sources
    from workloads.registry import open_workloads

    sources = Sources(config.dataset_path, config.subjects, config.recur)
    workloads = open_workloads(config.workload, sources)
    opened = {workload.name: _open(workload, config, max_new_tokens) for workload in workloads}
    for name, (_, notes) in opened.items():  # once nothing is refused any more
        for note in notes:
            console.note(f"{name}: {note}")
    return {name: stream for name, (stream, _) in opened.items()}


def _open(workload: Workload, config: StreamConfig, max_new_tokens: int | None) -> tuple[Stream, list[str]]:
    """The stream of a workload, and what to tell of how it was drawn."""
    from workloads.base import StreamOptions, WorkloadDefaults
    from workloads.datasets.recurring_stream import MEANING
    from workloads.registry import WORKLOADS, is_dataset, recurs_as_told

    defaults = workload.defaults
    popularity = config.popularity or defaults.popularity
    reuse_rate = defaults.usual_reuse_rate(popularity) if config.reuse_rate is None else config.reuse_rate
    is_told = is_dataset(workload.name) or (config.recur is not None and recurs_as_told(workload.name))
    recurrence = defaults.recurrence if reuse_rate or not is_told else MEANING["none"]
    samples = config.samples or defaults.samples
    options = WorkloadDefaults(
        max_new_tokens=max_new_tokens or defaults.max_new_tokens,
        reuse_rate=reuse_rate,
        popularity=popularity,
        recurrence=recurrence,
        benchmark_score=defaults.benchmark_score,
        samples=samples,
        left_out=defaults.left_out,
    )
    drawing = StreamOptions(samples, config.seed, options.reuse_rate, popularity=options.popularity)
    drawn = workload.conversations(drawing)
    if workload.name not in WORKLOADS:
        drawn = console.track(drawn, f"requests of {workload.name}", samples)
    conversations = list(drawn)
    if not conversations:
        raise UsageError(f"workload '{workload.name}' has nothing to ask")
    notes = [options.left_out, options.recurrence if is_told else None]
    return Stream(conversations, options), [note for note in notes if note is not None]
