"""What a run under load needs besides: its arrivals, what cannot be had with it, and what the client can do at most."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

from vlcache_cli.config.commands import RunConfig, SweepConfig
from workloads.arrivals import Arrivals, speed_of_trace
from workloads.errors import UsageError

if TYPE_CHECKING:
    from runners.load.session import LoadOptions
    from runners.registry import RunnerSpec
    from vlcache_cli.jobs.streams import Stream

POISSON = "poisson"  # arrivals where nothing is said


def loads_of(config: RunConfig) -> dict[str, LoadOptions]:
    """How requests arrive, by what a runner's label is followed by; none where they come one by one."""
    if not config.is_loaded:
        return {}
    from runners.load.session import LoadOptions

    if config.concurrency is not None:
        return {"": LoadOptions(concurrency=config.concurrency, duration=config.duration)}
    speed = speed_of_trace(config.arrivals)
    if speed is not None:
        return {"": LoadOptions(speed=speed, duration=config.duration)}
    many = isinstance(config, SweepConfig)
    return {
        at(rate) if many else "": LoadOptions(Arrivals.read(config.arrivals, rate), duration=config.duration)
        for rate in config.rates
    }


def at(rate: float) -> str:
    """What follows the label of a runner that is asked at several rates."""
    return f"@rate={rate:g}"


def labels_under_load(labels: Sequence[str], loads: Iterable[str]) -> dict[str, str]:
    """The runner that each label of a run stands for: itself, but for several rates."""
    return {f"{label}{suffix}": label for suffix in (loads or ("",)) for label in labels}


def require_loadable(config: RunConfig, specs: Sequence[RunnerSpec], streams: Mapping[str, Stream]) -> None:
    """UsageError for settings that contradict load."""
    if not config.is_loaded:
        if config.slo is not None:
            raise UsageError("--slo is about answers under load: give --request-rate or --concurrency, too")
        if config.duration is not None:
            raise UsageError("--duration is about answers under load: give --request-rate or --concurrency, too")
        if config.arrivals != POISSON:
            raise UsageError("--arrivals is about answers under load: give --request-rate, too")
        if config.clients is not None:
            raise UsageError("--clients is about answers under load: give --request-rate or --concurrency, too")
        return
    if config.rates and config.concurrency is not None:
        raise UsageError("--request-rate (open loop) and --concurrency (closed loop) exclude each other: drop one")
    if isinstance(config, SweepConfig) and config.rates:
        if config.distinct_media:
            raise UsageError("a sweep is over --request-rate or over --distinct-media: drop one")
        if config.recompute_ratio != SweepConfig().recompute_ratio:
            raise UsageError(
                "a sweep is over --request-rate or over --recompute-ratio: drop one, or name ratios in runners"
            )
    if speed_of_trace(config.arrivals) is not None:
        if config.rates or config.concurrency is not None:
            raise UsageError("--arrivals trace has times of its own: drop --request-rate and --concurrency")
        for workload, stream in streams.items():
            turns = (turn for conversation in stream.conversations for turn in conversation.turns)
            if any(turn.arrival_s is None for turn in turns):
                raise UsageError(f"--arrivals trace: the requests of '{workload}' have no times; a trace's have")
    elif config.concurrency is not None and config.arrivals != POISSON:
        raise UsageError("--concurrency sends when an answer came: drop --arrivals")
    _require_clients(config, specs)
    if config.resume:
        raise UsageError("a run under load cannot be continued, for its arrivals are in time: start another one")
    if config.is_sequential:
        raise UsageError("--until-decided asks runners side by side, and under load they are asked one after another")
    for spec in specs:
        if spec.is_server and spec.options.get("state", "stream") != "stream":
            raise UsageError(
                f"runner '{spec.label}' makes its caches before each request, for which load leaves no time: "
                "drop state="
            )


def _require_clients(config: RunConfig, specs: Sequence[RunnerSpec]) -> None:
    """UsageError for client processes that would have nothing to do."""
    if config.clients is None:
        return
    if not any(spec.is_server for spec in specs):
        raise UsageError("--clients ask servers (--runner endpoint@url=...), and no runner is one: drop it")
    if config.concurrency is not None and config.concurrency < config.clients:
        raise UsageError(
            f"--clients {config.clients} cannot share --concurrency {config.concurrency}: at most one for each request "
            "under way"
        )


def describe_load(config: RunConfig, specs: Sequence[RunnerSpec], streams: Mapping[str, Stream]) -> dict[str, Any]:
    """For the manifest: how requests arrive, and where servers are asked, by how many clients and how fast they are."""
    rates = {f"{spec.label}{at(rate)}": {"family": spec.label, "rate": rate} for spec in specs for rate in config.rates}
    described: dict[str, Any] = {
        "request_rate": max(config.rates, default=None),
        "rates": rates if isinstance(config, SweepConfig) else {},
        "concurrency": config.concurrency,
        "arrivals": config.arrivals,
    }
    if not any(spec.is_server for spec in specs):
        return described
    from runners.load.ceiling import Ceiling

    stream = next(iter(streams.values()))
    ceiling = Ceiling(stream.conversations[0].prompt(0), stream.options.max_new_tokens)
    if config.clients is not None:
        return described | {"clients": config.clients, "ceiling_rps": ceiling.of_clients(config.clients)}
    most = ceiling.of_clients(1)
    clients = clients_for(max(config.rates, default=0.0), most, os.cpu_count() or 1)
    if clients > 1:
        most = ceiling.of_clients(clients)
    return described | {"clients": clients, "ceiling_rps": most}


def clients_for(rate: float, ceiling: float, processors: int) -> int:
    """Count the client processes for a rate: as many as are trusted with it, but not more than there are processors.

    Args:
        rate: asked for, in requests a second.
        ceiling: the most that one client can send.
    """
    from reports.summary.load import MOST_OF_CEILING

    return max(1, min(processors, ceil(rate / (MOST_OF_CEILING * ceiling)) if ceiling > 0 else processors))
