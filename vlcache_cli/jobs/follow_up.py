"""Follow up: ask requests beyond the first ones, of the reference and a runner whose loss they can still bound."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vlcache_cli import console
from vlcache_cli.jobs.streams import count_turns, follow_up_prefix
from workloads.errors import UsageError

if TYPE_CHECKING:
    from reports.run.manifest import Manifest
    from runners.base import Runner
    from runners.records import Record
    from vlcache_cli.config.commands import RunConfig
    from vlcache_cli.jobs.streams import Stream


def describe_follow_up(streams: Mapping[str, Stream]) -> dict[str, Any]:
    """What follows up, for a manifest, before anyone is chosen; empty where nothing does."""
    requests = {workload: count_turns(stream.follow_up) for workload, stream in streams.items() if stream.follow_up}
    if not requests:
        return {}
    (begins,) = {follow_up_prefix(stream) for workload, stream in streams.items() if workload in requests}
    return {"follow_up": {"requests": requests, "chosen": None, "begins": begins}}


def require_followable(config: RunConfig, streams: Mapping[str, Stream]) -> None:
    """UsageError for settings that contradict what follows up."""
    if not any(stream.follow_up for stream in streams.values()):
        return
    if config.is_sequential or config.is_loaded or config.on != "local":
        raise UsageError(
            "--follow-up asks on, request by request, when the first requests are answered: drop it, or "
            "--until-decided, --on ray and what makes load"
        )


def choose(manifest: Manifest, records: Sequence[Record], streams: Mapping[str, Stream]) -> dict[str, str]:
    """Choose the runner that is asked on, by workload, from the ``records`` of the first requests; say who and why.

    The choice depends on answers alone, at the usual margin and alpha of the run, and on no time.
    """
    from reports.run.measurements import Measurements
    from reports.statistics.levels import DEFAULT_ALPHA, DEFAULT_MARGIN
    from reports.summary.follow_up import choose_followed

    verdict = manifest.verdict
    separate = {workload: _separate(stream) for workload, stream in streams.items() if stream.follow_up}
    chosen = choose_followed(
        Measurements(manifest, records), separate, verdict.margin or DEFAULT_MARGIN, verdict.alpha or DEFAULT_ALPHA
    )
    by_runner: dict[str, list[str]] = {}
    for workload, label in chosen.items():
        by_runner.setdefault(label, []).append(workload)
    for label, workloads in by_runner.items():
        console.note(f"{label} is asked on, to bound what it loses: {', '.join(workloads)}")
    return chosen


def _separate(stream: Stream) -> int:
    """Clusters of the requests that follow up in which some medium comes back."""
    from runners.records import Warmth
    from runners.session import requests_of, turns_of

    asked = requests_of(turns_of(stream.follow_up))
    return len({item.conversation.cluster_id for item in asked if item.warmth is not Warmth.COLD})


def spares(manifest: Manifest) -> bool:
    """Whether cold requests that follow up are spared: not if the reference is to store what they bring."""
    return not manifest.reuses(manifest.reference)


def count_answers(manifest: Manifest, stream: Stream, primes: bool) -> int:
    """Count the answers of the reference and of a chosen runner, which ``primes`` or not, to what follows up."""
    from runners.session import requests_of, turns_of

    asked = list(requests_of(turns_of(stream.follow_up)))
    spared = [item for item in asked if spares(manifest) and item.is_spared]
    return 2 * len(asked) - len(spared) - (sum(not item.prefix_returns for item in spared) if primes else 0)


def follow_up(
    config: RunConfig,
    manifest: Manifest,
    streams: Mapping[str, Stream],
    runners: Sequence[Runner],
    finished: Mapping[str, Record],
) -> Iterator[Record]:
    """Yield the records of the reference and the chosen runner of each workload that ``finished`` does not have.

    Stores begin empty. Nothing is warmed up, and cold requests are not answered where nobody needs the answer (see
    ``SessionOptions.spares``): the first ones were timed.

    Args:
        manifest: says who was chosen.
    """
    from runners.session import COMPUTED_BY_ALL, SessionOptions, serve

    for workload, label in (manifest.follow_up.chosen or {}).items():
        stream, asked = streams[workload], [runner for runner in runners if runner.label in (config.reference, label)]
        options = SessionOptions(
            config.reference,
            config.seed,
            stream.options.max_new_tokens,
            warmup=0,
            cold_before=COMPUTED_BY_ALL,
            spares=spares(manifest),
        )
        yield from serve(workload, stream.follow_up, asked, options, finished)
