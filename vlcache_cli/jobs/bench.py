"""What a command is to measure: checked while it is cheap, then measured request by request into its run folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from vlcache_cli import console
from vlcache_cli.config.commands import RunConfig
from vlcache_cli.jobs.streams import Stream, open_streams
from workloads.errors import UsageError

if TYPE_CHECKING:
    from reports.run.manifest import Manifest
    from reports.run.measurements import Measurements
    from reports.run.store import RunFolder, SavedRun
    from runners.base import Runner
    from runners.models.load import LoadedModel, Source
    from runners.records import Record
    from runners.registry import RunnerSpec


@dataclass(frozen=True)
class Job:
    """What is to be done, known to be possible as far as that can be told without the weights.

    Attributes:
        streams: what is asked of each workload.
        fingerprints: of each stream.
        saved: the run that is continued; None for a new one.
        notes: what else the manifest of a new run tells.
    """

    config: RunConfig
    specs: Sequence[RunnerSpec]
    model: Source
    streams: dict[str, Stream]
    fingerprints: dict[str, str]
    folder: RunFolder
    saved: SavedRun | None
    notes: Mapping[str, Any] = field(default_factory=dict)


def parse_runners(config: RunConfig, ratio: float) -> list[RunnerSpec]:
    """The runners that are asked for, ``ratio`` given to those that take one and name none."""
    from runners.registry import RunnerDefaults, parse_specs

    defaults = RunnerDefaults(
        ratio,
        config.donor,
        config.device_budget,
        config.host_budget,
        config.strict_reuse,
        config.tolerance,
        config.max_ratio,
    )
    return parse_specs(config.runner, defaults)


def prepare(config: RunConfig, specs: Sequence[RunnerSpec], notes: Mapping[str, Any] | None = None) -> Job:
    """Check everything that needs no weights: names, options, the folder. Claims a new run's folder.

    Raises:
        UsageError: the first thing that will not work.
    """
    from reports.run.store import RunFolder
    from runners.models.load import resolve_model
    from workloads.fingerprint import fingerprint

    _require_reference(config, specs)
    if config.profile is not None and not config.profile.is_file():
        raise UsageError(f"--profile {config.profile}: there is no such file; vlcache profile makes one")
    model = resolve_model(config.model, config.revision)
    streams = open_streams(config, config.max_new_tokens)
    fingerprints = {workload: fingerprint(stream.conversations) for workload, stream in streams.items()}
    folder = RunFolder(config.output)
    saved = _reopen(folder, config, fingerprints) if config.resume else None
    if saved is None:
        folder.claim()
    asked = {workload: stream.describe() for workload, stream in streams.items()}
    told = {"asked": asked, "verdict": {"margin": config.margin, "alpha": config.alpha}, **(notes or {})}
    return Job(config, specs, model, streams, fingerprints, folder, saved, told)


def measure(job: Job) -> Measurements:
    """Answer what is not yet answered, each record kept as it comes; returns the whole run."""
    from reports.run.asked import AskedLog
    from reports.run.measurements import Measurements
    from runners.local import build_runner
    from runners.models.load import load_model
    from runners.records import Status
    from runners.session import SessionOptions, serve

    config = job.config
    model = load_model(
        config.model,
        job.model,
        config.dtype,
        config.device,
        config.profile,
        config.device_map,
        config.attn,
        sampling=config.sampling,
    )
    runners = [build_runner(spec, model) for spec in job.specs]
    manifest, finished = _begin(job, model, runners)
    records = list(finished.values())
    turns = sum(stream.turns for stream in job.streams.values())

    def answer(workload: str, stream: Stream) -> Iterator[Record]:
        options = SessionOptions(config.reference, config.seed, stream.asked.max_new_tokens, config.warmup)
        return serve(workload, stream.conversations, runners, options, finished)

    answers = chain.from_iterable(answer(workload, stream) for workload, stream in job.streams.items())
    asked = {(workload, id): place for workload, stream in job.streams.items() for id, place in stream.places()}
    log = AskedLog(job.folder.path, keep_media=not config.no_media)
    with job.folder.appending() as append:
        for answered in console.track(answers, "answers", turns * len(runners) - len(finished)):
            record = answered.unjudged() if model.random_weights else answered
            append(record)
            records.append(record)
            if record.agrees is False or record.status is not Status.OK:
                log.keep(record.workload, *asked[record.workload, record.request])
    return Measurements(manifest, records)


def _begin(job: Job, model: LoadedModel, runners: Sequence[Runner]) -> tuple[Manifest, dict[str, Record]]:
    """Write a new run's manifest, or check that a saved run had this model; returns what is finished, too."""
    from reports.run.new_manifest import build_manifest
    from reports.run.resume import require_same_model

    if job.saved is None:
        described = [runner.describe() for runner in runners]
        told = model.describe() | {"ceilings": model.ceilings()}
        manifest = build_manifest(job.config.measured(), job.fingerprints, told, described, job.notes)
        job.folder.start(manifest)
        return manifest, {}
    require_same_model(job.folder.path, job.saved.manifest.model.document, model.describe())
    job.folder.mend(job.saved)
    return job.saved.manifest, job.saved.records


def _require_reference(config: RunConfig, specs: Sequence[RunnerSpec]) -> None:
    labels = [spec.label for spec in specs]
    if config.reference not in labels:
        raise UsageError(
            f"the reference '{config.reference}' is not among the runners ({', '.join(labels)}): "
            f"add --runner {config.reference}, or choose another --reference"
        )


def _reopen(folder: RunFolder, config: RunConfig, fingerprints: dict[str, str]) -> SavedRun:
    """Read a run and check that it can be continued with ``config``."""
    from reports.run.resume import require_same

    saved = folder.read()
    require_same(folder.path, "config", saved.manifest.config, config.measured())
    require_same(folder.path, "workloads", saved.manifest.workloads, fingerprints)
    return saved
