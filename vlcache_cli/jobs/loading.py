"""What a run under load needs besides: its arrivals, what cannot be had with it, and what the client can do at most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vlcache_cli.config.commands import BenchConfig, RunConfig
from workloads.arrivals import Arrivals
from workloads.errors import UsageError

if TYPE_CHECKING:
    from runners.load.session import LoadOptions
    from runners.registry import RunnerSpec
    from vlcache_cli.jobs.streams import Stream


def load_of(config: RunConfig) -> LoadOptions | None:
    """How requests arrive; None where they come one by one."""
    if config.request_rate is None and config.concurrency is None:
        return None
    from runners.load.session import LoadOptions

    rate = config.request_rate
    return LoadOptions(None if rate is None else Arrivals.read(config.arrivals, rate), config.concurrency)


def require_loadable(config: RunConfig, specs: Sequence[RunnerSpec]) -> None:
    """UsageError for settings that contradict load."""
    if config.request_rate is None and config.concurrency is None:
        if config.slo is not None:
            raise UsageError("--slo is about answers under load: give --request-rate or --concurrency, too")
        return
    if config.request_rate is not None and config.concurrency is not None:
        raise UsageError("--request-rate (open loop) and --concurrency (closed loop) exclude each other: drop one")
    if config.resume:
        raise UsageError("a run under load cannot be continued, for its arrivals are in time: start another one")
    if isinstance(config, BenchConfig) and config.until_decided:
        raise UsageError("--until-decided asks runners side by side, and under load they are asked one after another")
    for spec in specs:
        if spec.is_server and spec.options.get("state", "stream") != "stream":
            raise UsageError(
                f"runner '{spec.label}' makes its caches before each request, for which load leaves no time: "
                "drop state="
            )


def describe_load(config: RunConfig, specs: Sequence[RunnerSpec], streams: Mapping[str, Stream]) -> dict[str, Any]:
    """For the manifest: how requests arrive, and how many the client itself can send, where servers are asked."""
    described = {"request_rate": config.request_rate, "concurrency": config.concurrency, "arrivals": config.arrivals}
    if not any(spec.is_server for spec in specs):
        return described
    from runners.endpoint.chat import chat_body
    from runners.load.ceiling import measure_ceiling

    conversation = next(iter(streams.values())).conversations[0]
    return described | {"ceiling_rps": measure_ceiling(chat_body(conversation.prompt(0), "any", 1, {}))}
