"""One model in several processes: what cannot be had with it, rank 0's part in a run, and that of the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from runners.ranks import launched
from vlcache_cli.failures import ExitCode
from vlcache_cli.jobs.answers import settings_of_model
from workloads.errors import UsageError

if TYPE_CHECKING:
    from runners.base import Runner
    from runners.parallel.leader import Leader
    from runners.registry import RunnerSpec
    from vlcache_cli.config.commands import RunConfig


def follow_if_launched() -> ExitCode | None:
    """Follow rank 0 to the end of its run, where torchrun started this process for that; None where it did not."""
    launch = launched()
    if launch is None or not launch.follows:
        return None
    from runners.parallel.follower import follow

    follow(launch)
    return ExitCode.OK


def require_divisible_work(config: RunConfig, specs: Sequence[RunnerSpec]) -> None:
    """UsageError for what processes that share a model cannot do."""
    if launched() is None:
        return
    from runners.models.choices import SINGLE
    from runners.models.load import SHAPE

    refused = {
        "--on ray: its workers run whole models": config.on != "local",
        "load: it is made in processes of its own": config.is_loaded,
        "--store-dir: what is read from disk, and when, differs from process to process": config.store_dir is not None,
        "--device-map: each process has the device that torchrun gives it": config.device_map != SINGLE,
        "random weights: each process would draw all of them": config.model.startswith(SHAPE),
        "servers: they run their own models": any(spec.is_server for spec in specs),
    }
    for what, is_asked in refused.items():
        if is_asked:
            raise UsageError(f"started by torchrun, which divides one model among processes, not with {what}; drop it")


@contextmanager
def leading_if_launched(config: RunConfig, specs: Sequence[RunnerSpec]) -> Iterator[Leader | None]:
    """Lead the other processes through a run where torchrun started them; None where this process runs alone."""
    launch = launched()
    if launch is None:
        yield None
        return
    from runners.parallel.commands import Setup
    from runners.parallel.leader import leading

    setup = Setup(settings_of_model(config), tuple(specs), config.reference, config.adopt)
    with leading(launch, setup) as leader:
        yield leader


def led(leader: Leader | None, runners: Sequence[Runner]) -> Sequence[Runner]:
    """Make runners that the other processes follow, where there are any."""
    return runners if leader is None else leader.lead(runners)
