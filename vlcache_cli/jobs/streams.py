"""Open the request stream of each workload: its conversations, and the options that they were drawn with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from vlcache_cli import console
from vlcache_cli.config.stream import StreamConfig
from workloads.errors import UsageError

if TYPE_CHECKING:
    from workloads.base import Workload, WorkloadDefaults
    from workloads.records import Conversation

DISTINCT = "@distinct="
"""Stands between the name of a workload and the number of its distinct media, where there are several."""


@dataclass(frozen=True)
class Stream:
    """The requests of one workload.

    Attributes:
        blocks: drawn with seeds of their own; the stores of all runners are emptied before each.
        options: those that the user gave, else the defaults of the workload.
        no_image: whether media are left out.
        distinct: see ``StreamOptions``.
        follow_up: a block more, for a runner whose loss it can bound.
    """

    blocks: list[list[Conversation]]
    options: WorkloadDefaults
    no_image: bool = False
    distinct: int = 0
    follow_up: list[Conversation] = field(default_factory=list)

    @property
    def conversations(self) -> list[Conversation]:
        """Those of all blocks, and of the one that follows up."""
        return [conversation for block in (*self.blocks, self.follow_up) for conversation in block]

    @property
    def turns(self) -> int:
        """Requests in all."""
        return count_turns(self.conversations)

    def places(self) -> Iterator[tuple[str, tuple[Conversation, int]]]:
        """The id of every turn, with its conversation and its place in it."""
        for conversation in self.conversations:
            for index, turn in enumerate(conversation.turns):
                yield turn.id, (conversation, index)

    def describe(self) -> dict[str, Any]:
        """For the manifest, as plain types."""
        metrics = {turn.answer.metric for conversation in self.conversations for turn in conversation.turns}
        given = {
            name: value
            for name, value in asdict(self.options).items()
            if value is not None and (name != "follow_up" or value)
        }
        return {
            **given,
            "metrics": sorted(metrics),
            **({"no_image": True} if self.no_image else {}),
            **self._working_set(),
        }

    def _working_set(self) -> dict[str, int]:
        return {"distinct": self.distinct} if self.distinct else {}

    def without_media(self) -> Stream:
        """The same questions without their media; UsageError where that leaves nothing to ask."""
        for conversation in self.conversations:
            for turn in conversation.turns:
                if not any(isinstance(part, str) and part.strip() for part in turn.content):
                    raise UsageError(f"--no-image leaves nothing of request {turn.id}: it has no text")
        *blocks, follow_up = (
            [conversation.without_media() for conversation in block] for block in (*self.blocks, self.follow_up)
        )
        return replace(self, blocks=blocks, follow_up=follow_up, no_image=True)


def count_turns(conversations: Sequence[Conversation]) -> int:
    """Count the requests of conversations."""
    return sum(len(conversation.turns) for conversation in conversations)


def follow_up_prefix(stream: Stream) -> str:
    """With what the ids of the requests that follow up begin."""
    return _prefix(len(stream.blocks))


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
    from runners.models.choices import PIXELS_PER_TOKEN
    from workloads.datasets.sources import Sources
    from workloads.registry import open_workloads

    sources = Sources(config.dataset_path, config.subjects, config.recur, PIXELS_PER_TOKEN.get(config.model))
    workloads = open_workloads(config.workload, sources)
    opened = {
        f"{workload.name}{DISTINCT}{distinct}" if distinct else workload.name: _open(
            workload, config, max_new_tokens, distinct
        )
        for workload in workloads
        for distinct in config.distinct_media or (0,)
    }
    for note in [note for _, notes in opened.values() for note in notes]:  # once nothing is refused any more
        console.note(note)
    return {name: stream for name, (stream, _) in opened.items()}


def _open(
    workload: Workload, config: StreamConfig, max_new_tokens: int | None, distinct: int = 0
) -> tuple[Stream, list[str]]:
    """The stream of a workload, and what to tell of how it was drawn."""
    from workloads.base import StreamOptions, WorkloadDefaults
    from workloads.datasets.recurring_stream import MEANING
    from workloads.options import base_name
    from workloads.registry import CARDS, is_built_in, is_dataset, recurs_as_told

    defaults = workload.defaults
    _require_steerable(workload.name, defaults, config)
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
        follow_up=config.follow_up_of(defaults.follow_up),
        left_out=defaults.left_out,
    )
    for flag, is_given in (("--blocks", config.blocks > 1), ("--follow-up", options.follow_up > 0)):
        if is_given and not is_built_in(workload.name):
            raise UsageError(f"{flag} draws with other seeds, and the requests of '{workload.name}' are given: drop it")
    if distinct and base_name(workload.name) not in CARDS:
        raise UsageError(f"--distinct-media is for {', '.join(CARDS)}, not for '{workload.name}': drop it")
    notes = [] if options.left_out is None else [f"{workload.name}: {options.left_out}"]
    if is_told or (defaults.recurs_by is not None and not is_built_in(workload.name)):
        notes.append(f"{workload.name}: {options.recurrence}")

    def draw(requests: int, block: int) -> list[Conversation]:
        drawing = StreamOptions(
            requests, config.seed + block, options.reuse_rate, popularity=options.popularity, distinct=distinct
        )
        drawn = workload.conversations(drawing)
        if not is_built_in(workload.name):
            drawn = console.track(drawn, f"requests of {workload.name}", samples)
        return [_numbered(conversation, block) for conversation in drawn]

    # the later blocks have one request more, where it does not come out even
    blocks = [draw((samples + block) // config.blocks, block) for block in range(config.blocks)]
    if not all(blocks):
        raise UsageError(f"workload '{workload.name}' has nothing to ask")
    follow_up = draw(options.follow_up, config.blocks) if options.follow_up else []
    if defaults.case is not None and popularity == "own":
        follow_up = _that_come_back(follow_up, defaults.case.cold)
    if options.follow_up and not follow_up:
        raise UsageError(
            f"--follow-up {options.follow_up}: no medium of '{workload.name}' comes back in so few requests: ask more"
        )
    return Stream(blocks, options, distinct=distinct, follow_up=follow_up), notes


def _that_come_back(conversations: Sequence[Conversation], cold: int) -> list[Conversation]:
    """Those of cases whose media come back; the last ones of a stream are about cases that do so behind its end.

    ``cold``: conversations that bring the media of a case.
    """
    visits = Counter(conversation.cluster_id for conversation in conversations)
    return [conversation for conversation in conversations if visits[conversation.cluster_id] > cold]


def _numbered(conversation: Conversation, block: int) -> Conversation:
    """The same with the number of its block before its names, but for the first: names are unique in a stream."""
    if block == 0:
        return conversation
    prefix = _prefix(block)
    return replace(
        conversation,
        id=f"{prefix}{conversation.id}",
        cluster_id=f"{prefix}{conversation.cluster_id}",
        turns=tuple(replace(turn, id=f"{prefix}{turn.id}") for turn in conversation.turns),
    )


def _prefix(block: int) -> str:
    return f"{block}."


def _require_steerable(name: str, defaults: WorkloadDefaults, config: StreamConfig) -> None:
    """UsageError when a setting says how media come back of a workload in which nothing can be said of that."""
    given = {"--reuse-rate": config.reuse_rate, "--popularity": config.popularity}
    for flag, value in given.items():
        if defaults.recurs_by is not None and value is not None:
            raise UsageError(f"workload '{name}' takes no {flag}: {defaults.recurs_by}; drop it")
