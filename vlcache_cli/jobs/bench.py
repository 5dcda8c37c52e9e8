"""Check what is to be measured while that is cheap, then measure it request by request into a run folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from vlcache_cli import console
from vlcache_cli.config.commands import RunConfig
from vlcache_cli.config.setting import settings_of
from vlcache_cli.jobs.deciding import Deciding, judged_labels
from vlcache_cli.jobs.streams import Stream, open_streams, require_legible
from workloads.errors import UsageError

if TYPE_CHECKING:
    from reports.run.lock import WriterLock
    from reports.run.manifest import Manifest
    from reports.run.measurements import Measurements
    from reports.run.store import RunFolder, SavedRun
    from runners.base import Runner
    from runners.engine.store.disk.store import DiskStore
    from runners.models.load import LoadedModel, Source
    from runners.records import Record
    from runners.registry import RunnerSpec


@dataclass(frozen=True)
class Inputs:
    """What a run reads, checked without torch and pandas: a mistake in it is told at once.

    Attributes:
        streams: the requests of each workload.
        fingerprints: of each stream.
        lock: on the folder of a run that goes on; None for a new one, whose folder is not made yet.
        saved: the run that goes on; None for a new one.
    """

    model: Source
    streams: dict[str, Stream]
    fingerprints: dict[str, str]
    folder: RunFolder
    lock: WriterLock | None
    saved: SavedRun | None


@dataclass(frozen=True)
class Job:
    """A run to be measured, checked as far as that is possible without the model's weights.

    Attributes:
        streams: the requests of each workload.
        fingerprints: of each stream.
        lock: on the folder; whoever measures releases it at the end.
        saved: the run that is continued; None for a new one.
        notes: more entries of a new run's manifest.
    """

    config: RunConfig
    specs: Sequence[RunnerSpec]
    model: Source
    streams: dict[str, Stream]
    fingerprints: dict[str, str]
    folder: RunFolder
    lock: WriterLock
    saved: SavedRun | None
    notes: Mapping[str, Any] = field(default_factory=dict)


def parse_runners(config: RunConfig, ratio: float | None) -> list[RunnerSpec]:
    """The runners that are asked for, ``ratio`` given to those that take one and name none."""
    from runners.defaults import RunnerDefaults
    from runners.registry import parse_specs

    defaults = RunnerDefaults(
        recompute_ratio=ratio,
        risk=config.risk,
        donor=config.donor,
        budget_bytes=config.device_budget,
        host_budget_bytes=config.host_budget,
        store_dtype=config.store_dtype,
        strict_reuse=config.strict_reuse,
    )
    return parse_specs(config.runner, defaults)


def read_inputs(config: RunConfig) -> Inputs:
    """Check names and read files: what needs neither torch nor pandas. Locks the folder of a run that goes on.

    Raises:
        UsageError: the first thing that will not work.
    """
    from reports.run.store import RunFolder
    from runners.models.load import resolve_model
    from runners.registry import read_names
    from workloads.fingerprint import fingerprint

    read_names(config.runner)
    if config.profile is not None and not config.profile.is_file():
        raise UsageError(f"--profile {config.profile}: there is no such file; vlcache profile makes one")
    if config.store_dtype != "auto" and config.store_dir is None and not config.host_budget:
        raise UsageError("--store-dtype is of entries on the host or on disk: add --host-budget or --store-dir")
    folder = RunFolder(config.output)
    if not config.resume:
        folder.require_free()
    lock = folder.lock() if config.resume else None
    require_legible(config.model, config.workload)
    model = resolve_model(config.model, config.revision, console.note)
    streams = open_streams(config.drawn(), config.max_new_tokens)
    fingerprints = {workload: fingerprint(stream.conversations) for workload, stream in streams.items()}
    saved = folder.read() if config.resume else None
    return Inputs(model, streams, fingerprints, folder=folder, lock=lock, saved=saved)


def prepare(
    config: RunConfig, inputs: Inputs, specs: Sequence[RunnerSpec], notes: Mapping[str, Any] | None = None
) -> Job:
    """Check that the runners fit the rest. Claims and locks the folder of a new run.

    Raises:
        UsageError: the reference is not among the runners, or the folder is of another run or cannot be written to.
    """
    require_reference(config, [spec.label for spec in specs])
    if inputs.saved is not None:
        _require_same_run(inputs.saved, inputs.folder, config, inputs.fingerprints)
    lock = inputs.lock or inputs.folder.claim()
    stream_options = {workload: stream.describe() for workload, stream in inputs.streams.items()}
    notes = {"asked": stream_options, "verdict": {"margin": config.margin, "alpha": config.alpha}, **(notes or {})}
    return Job(
        config,
        specs,
        inputs.model,
        inputs.streams,
        inputs.fingerprints,
        folder=inputs.folder,
        lock=lock,
        saved=inputs.saved,
        notes=notes,
    )


def measure(job: Job) -> Measurements:
    """Answer what is not yet answered, each record kept as it comes; returns the whole run."""
    from reports.run.changed_answers import ChangedAnswersLog
    from reports.run.measurements import Measurements
    from runners.local import build_runners
    from runners.models.load import load_model
    from runners.records import Status
    from runners.session import SessionOptions, serve

    config = job.config
    model = load_model(
        config.model,
        job.model,
        dtype=config.dtype,
        device=config.device,
        profile=config.profile,
        device_map=config.device_map,
        attention=config.attn,
        sampling=config.sampling,
    )
    disk = open_disk(config)
    runners = build_runners(job.specs, model, config.reference, config.adopt, disk)
    manifest, finished = _begin(job, model, runners)
    records = list(finished.values())
    turns = sum(stream.turns for stream in job.streams.values())

    decisions: list[dict[str, Any]] = [asdict(decision) for decision in manifest.decisions]
    watches = _watches(job, manifest, decisions)

    def answer(workload: str, stream: Stream) -> Iterator[Record]:
        options = SessionOptions(config.reference, config.seed, stream.options.max_new_tokens, config.warmup)
        return serve(workload, stream.conversations, runners, options, finished, watches.get(workload))

    answers = chain.from_iterable(answer(workload, stream) for workload, stream in job.streams.items())
    place_of = {(workload, id): place for workload, stream in job.streams.items() for id, place in stream.places()}
    log = ChangedAnswersLog(job.folder.path, keep_media=not config.no_media)
    total = turns * len(runners) - len(finished)
    with job.folder.appending() as append:
        for answered in console.track(answers, "answers", total, lambda record: record.workload):
            record = answered.unjudged() if model.random_weights else answered
            append(record)
            records.append(record)
            if record.agrees is False or record.status is not Status.OK:
                log.keep(record.workload, *place_of[record.workload, record.request])
    if disk is not None:
        console.note(disk.close())
    for watch in watches.values():
        watch.end()
    if watches:
        manifest = _with_decisions(job, manifest, decisions)
    return Measurements(manifest, records)


def open_disk(config: RunConfig) -> DiskStore | None:
    """Open the directory of the disk tier; None where none is asked for. UsageError when it cannot be one."""
    from runners.engine.store.disk.settings import DiskSettings
    from runners.engine.store.disk.store import DiskStore

    if config.store_dir is None:
        return None
    return DiskStore(DiskSettings(config.store_dir, config.disk_budget, config.namespace), console.note)


def _watches(job: Job, manifest: Manifest, decisions: list[dict[str, Any]]) -> dict[str, Deciding]:
    """Who decides on each workload when it is enough; none where a run is not until decided."""
    if not manifest.sequential:
        return {}
    judged, finished = judged_labels(manifest), {} if job.saved is None else job.saved.records
    return {
        workload: Deciding(
            workload=workload,
            reference=job.config.reference,
            judged=judged,
            margin=job.config.margin,
            alpha=job.config.alpha,
            finished=finished,
            decisions=decisions,
            keep=partial(_with_decisions, job, manifest, decisions),
        )
        for workload in job.streams
    }


def _with_decisions(job: Job, manifest: Manifest, decisions: Sequence[Mapping[str, Any]]) -> Manifest:
    """Write into the manifest what was decided."""
    from reports.run.manifest import Manifest

    decided = Manifest.check(manifest.document | {"decisions": [*decisions]}, job.folder.path)
    job.folder.start(decided)
    return decided


def _begin(job: Job, model: LoadedModel, runners: Sequence[Runner]) -> tuple[Manifest, dict[str, Record]]:
    """Write a new run's manifest, or check that a saved run had this model and code; returns what is finished, too."""
    from reports.run.new_manifest import build_manifest
    from reports.run.resume import require_same, require_same_model

    descriptions = [runner.describe() for runner in runners]
    if job.saved is None:
        model_description = model.describe() | {"ceilings": model.ceilings()}
        manifest = build_manifest(job.config.measured(), job.fingerprints, model_description, descriptions, job.notes)
        job.folder.start(manifest)
        return manifest, {}
    require_same_model(job.folder.path, job.saved.manifest.document["model"], model.describe())
    saved = job.saved.manifest.document["runners"]
    require_same(job.folder.path, "source", _code_of(saved), _code_of(descriptions))
    require_same(job.folder.path, "options", _options_of(saved), _options_of(descriptions))
    job.folder.mend(job.saved)
    return job.saved.manifest, job.saved.records


def _code_of(runners: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The hash of the file of every runner that is a method of the user's own, by its label."""
    sources = ((runner["label"], runner.get("source")) for runner in runners)
    return {label: source.get("sha256") for label, source in sources if isinstance(source, dict)}


def _options_of(runners: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The options of every runner by its label: some, such as the donor policy, are the method's own defaults."""
    return {runner["label"]: runner.get("options") for runner in runners}


def require_reference(config: RunConfig, labels: Sequence[str]) -> None:
    """UsageError when the reference is not one of the runners."""
    if config.reference not in labels:
        raise UsageError(
            f"the reference '{config.reference}' is not among the runners ({', '.join(labels)}): "
            f"add --runner {config.reference}, or choose another --reference"
        )


def _require_same_run(saved: SavedRun, folder: RunFolder, config: RunConfig, fingerprints: dict[str, str]) -> None:
    """Check that a run can be continued with ``config``."""
    from reports.run.resume import require_same

    gone = sorted(set(saved.manifest.config) - set(settings_of(type(config))))
    if gone:
        raise UsageError(
            f"cannot resume {folder.path}: another command or version of vlcache began it, with settings that this one "
            f"does not have ({', '.join(gone)}): start another run with another --output"
        )
    require_same(folder.path, "config", saved.manifest.config, config.measured())
    require_same(folder.path, "workloads", saved.manifest.workloads, fingerprints)
