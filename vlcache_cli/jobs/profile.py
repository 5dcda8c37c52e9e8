"""Check what ``vlcache profile`` is to measure while that is cheap, then measure it into its folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING

from vlcache_cli import console
from vlcache_cli.config.commands import ProfileConfig
from vlcache_cli.jobs.calibration import calibrate, open_calibration
from vlcache_cli.jobs.streams import Stream, open_streams, require_legible
from workloads.errors import UsageError

if TYPE_CHECKING:
    from pandas import DataFrame

    from reports.profile.folder import ProfileFolder
    from reports.profile.sensitivity import LayerCost
    from reports.run.lock import WriterLock
    from runners.analysis.conclude import Conclusion
    from runners.analysis.probing import Losses
    from runners.analysis.records import Observation
    from runners.analysis.stream import ObservedRunner
    from runners.models.load import LoadedModel, Source
    from runners.profile import ModelProfile
    from runners.records import Record
    from runners.registry import RunnerSpec


@dataclass(frozen=True)
class ProfileJob:
    """A profile to be measured, checked as far as that is possible without the model's weights.

    Attributes:
        lock: on the folder; whoever measures releases it at the end.
    """

    config: ProfileConfig
    spec: RunnerSpec
    model: Source
    streams: dict[str, Stream]
    calibration: dict[str, Stream]
    folder: ProfileFolder
    lock: WriterLock

    @property
    def turns(self) -> int:
        """Requests of all streams."""
        return sum(stream.turns for stream in self.streams.values())


@dataclass(frozen=True)
class ProfiledLayers:
    """What was measured of the layers.

    Attributes:
        errors: the error map, see ``reports.profile.error_map.COLUMNS``.
        costs: what staleness in each layer costs.
        conclusion: what follows from both.
    """

    errors: DataFrame
    costs: Sequence[LayerCost]
    conclusion: Conclusion


@dataclass(frozen=True)
class Profiled:
    """What was measured, and the profile that follows from it.

    Attributes:
        records: of every request.
        layers: None where the risk alone was calibrated.
    """

    records: Sequence[Record]
    profile: ModelProfile
    layers: ProfiledLayers | None


def prepare(config: ProfileConfig) -> ProfileJob:
    """Check everything that needs no weights, and claim the folder.

    Raises:
        UsageError: the first thing that will not work.
    """
    from reports.profile.folder import ProfileFolder
    from runners.models.load import resolve_model
    from runners.models.shapes.catalogue import Shape

    _require_one_name(config)
    folder = ProfileFolder(config.output)
    folder.require_free()
    require_legible(config.model, config.workload)
    model = resolve_model(config.model, config.revision, console.note)
    if isinstance(model, Shape):
        raise UsageError(f"model '{config.model}' has random weights: a profile of them would tell nothing")
    if config.only_risk and not config.calibration_samples:
        raise UsageError("--only-risk needs requests to calibrate on: raise --calibration-samples")
    streams = {} if config.only_risk else open_streams(config)
    calibration = open_calibration(config)
    spec = _require_reuse(config)  # needs torch, and comes last
    return ProfileJob(config, spec, model, streams, calibration, folder=folder, lock=folder.claim())


def measure(job: ProfileJob) -> Profiled:
    """Observe every request, conclude, and keep all of it; UsageError when no request could tell anything."""
    from reports.profile import error_map, sensitivity
    from reports.run.disk import writing_to
    from runners.analysis.stream import ObservedRunner
    from runners.models.load import load_model
    from runners.profile import write_profile

    config, folder = job.config, job.folder
    model = load_model(config.model, job.model, **config.loading())
    records: list[Record] = []
    profile, layers = model.profile, None
    if not config.only_risk:
        runner = ObservedRunner(job.spec, model)
        records, observations = _observe(job, runner)
        errors, stale = error_map.to_frame(observations), sensitivity.to_frame(observations)
        costs = sensitivity.layer_costs(stale)
        conclusion = _conclude(job, runner, observations, costs)
        folder.keep(errors, stale, costs)
        profile, layers = conclusion.profile, ProfiledLayers(errors, costs, conclusion)
    if job.calibration:
        calibrated, risk = calibrate(config, model, profile, job.calibration)
        records, profile = [*records, *calibrated], replace(profile, risk=risk)
    with writing_to(folder.path):
        write_profile(folder.profile, profile, _comment(job, model))
    return Profiled(records, profile, layers)


def _observe(job: ProfileJob, runner: ObservedRunner) -> tuple[list[Record], list[Observation]]:
    """Every request's record, and what was seen of the warm ones."""
    from runners.analysis.measure import observe_stream

    served = chain.from_iterable(
        observe_stream(workload, stream.conversations, runner, job.config.budget)
        for workload, stream in job.streams.items()
    )
    seen = list(console.track(served, "requests", job.turns))
    observations = [observation for _, observation in seen if observation is not None]
    stale = sum(observation.staleness is not None for observation in observations)
    if not stale:
        raise UsageError("no warm request reused a medium: raise --samples, --reuse-rate or --device-budget")
    if stale < len(observations):
        console.note(
            f"{len(observations) - stale} of {len(observations)} warm requests had nothing stale: their media stood "
            "in an exact prefix, or were evicted (see --device-budget)"
        )
    return [record for record, _ in seen], observations


def _conclude(
    job: ProfileJob, runner: ObservedRunner, observations: Sequence[Observation], costs: Sequence[LayerCost]
) -> Conclusion:
    """The profile; all requests are served again where groups of probe layers are to be tried."""
    from reports.profile.sensitivity import upper_ends
    from runners.analysis.conclude import conclude, tells_layers
    from runners.analysis.probing import group_losses

    def try_groups(groups: Sequence[Sequence[int]]) -> Iterator[Losses]:
        served = chain.from_iterable(
            group_losses(workload, stream.conversations, runner, groups, job.config.budget)
            for workload, stream in job.streams.items()
        )
        tried = console.track(served, f"groups of {len(groups[0])} probe layers", job.turns)
        return (losses for losses in tried if losses is not None)

    if not tells_layers(observations):
        console.note("too few warm requests for a layer schedule: none is kept; raise --samples")
    means = [cost.mean for cost in costs]
    return conclude(observations, means, upper_ends(costs), job.config.budget, try_groups)


def _require_one_name(config: ProfileConfig) -> None:
    """UsageError when there are several runners to be observed, or none of that name."""
    from runners.registry import SERVERS, read_names

    named = read_names(config.runner)
    if len(named) > 1:
        raise UsageError(f"--runner names {len(named)} runners: profile observes one at a time")
    if any(runner.method in SERVERS for runner in named):
        raise UsageError("--runner names a server: profile observes methods of the built-in engine, such as full-reuse")


def _require_reuse(config: ProfileConfig) -> RunnerSpec:
    """The runner to be observed; UsageError when it never reuses keys and values of media."""
    from runners.defaults import RunnerDefaults
    from runners.registry import load_method, parse_specs

    defaults = RunnerDefaults(config.budget, donor=config.donor, budget_bytes=config.device_budget)
    (spec,) = parse_specs(config.runner, defaults)
    if not load_method(spec).uses_kv:
        raise UsageError(f"runner '{spec.label}' reuses no keys and values of media: choose one such as full-reuse")
    return spec


def _comment(job: ProfileJob, model: LoadedModel) -> str:
    """Where the profile comes from."""
    from runners.registry import load_method

    config, description = job.config, model.describe()
    donor = (config.donor or "previous") if config.only_risk else load_method(job.spec).donor_policy
    calibrated = f"; risk: {config.calibration_samples} of each, seed {config.seed + 1}" if job.calibration else ""
    layers = "layers: as before" if config.only_risk else f"layers: {config.samples} of each, seed {config.seed}"
    return (
        f"Measured by vlcache profile on {datetime.now(UTC):%Y-%m-%d}.\n"
        f"model: {config.model} in {description['dtype']}, {description['fingerprint']}\n"
        f"workloads: {', '.join(config.workload)}; {layers}{calibrated}, "
        f"reuse rate: {'usual' if config.reuse_rate is None else f'{config.reuse_rate:g}'}\n"
        + ("" if config.only_risk else f"runner: {', '.join(config.runner)}, for a budget of {config.budget:g}; ")
        + f"donor: {donor}"
    )
