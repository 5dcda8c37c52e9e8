"""Check what is to be measured while that is cheap, then measure it request by request into a run folder."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from vlcache_cli import console
from vlcache_cli.config.commands import RunConfig
from vlcache_cli.config.setting import settings_of
from vlcache_cli.jobs.answers import answers_of, answers_on_cluster, require_spreadable
from vlcache_cli.jobs.deciding import Deciding
from vlcache_cli.jobs.follow_up import choose, count_answers, describe_follow_up, follow_up, require_followable
from vlcache_cli.jobs.live_manifest import LiveManifest
from vlcache_cli.jobs.loading import describe_load, labels_under_load, loads_of, require_loadable
from vlcache_cli.jobs.ranks import leading_if_launched, led, require_divisible_work
from vlcache_cli.jobs.streams import Stream, count_turns, open_streams, require_legible
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
        model: None where servers alone answer.
        streams: the requests of each workload.
        fingerprints: of each stream.
        lock: on the folder of a run that goes on; None for a new one, whose folder is not made yet.
        saved: the run that goes on; None for a new one.
    """

    model: Source | None
    streams: dict[str, Stream]
    fingerprints: dict[str, str]
    folder: RunFolder
    lock: WriterLock | None
    saved: SavedRun | None


@dataclass(frozen=True)
class Job:
    """A run to be measured, checked as far as that is possible without the model's weights.

    Attributes:
        model: None where servers alone answer.
        streams: the requests of each workload.
        fingerprints: of each stream.
        lock: on the folder; whoever measures releases it at the end.
        saved: the run that is continued; None for a new one.
        notes: more entries of a new run's manifest.
    """

    config: RunConfig
    specs: Sequence[RunnerSpec]
    model: Source | None
    streams: dict[str, Stream]
    fingerprints: dict[str, str]
    folder: RunFolder
    lock: WriterLock
    saved: SavedRun | None
    notes: dict[str, Any] = field(default_factory=dict)


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
        timeout=config.timeout,
        api_key_env=config.api_key_env or "",
    )
    return parse_specs(config.runner, defaults)


def read_inputs(config: RunConfig) -> Inputs:
    """Check names and read files: what needs neither torch nor pandas. Locks the folder of a run that goes on.

    Raises:
        UsageError: the first thing that will not work.
    """
    from reports.run.store import RunFolder
    from runners.engine.store.disk.folder import StoreFolder
    from runners.models.load import resolve_model
    from runners.registry import SERVERS, read_names
    from workloads.fingerprint import fingerprint

    named = read_names(config.runner)
    needs_model = not named or any(runner.method not in SERVERS for runner in named)
    _require_media_for_what_needs_them(config)
    if config.profile is not None and not config.profile.is_file():
        raise UsageError(f"--profile {config.profile}: there is no such file; vlcache profile makes one")
    if config.store_dtype != "auto" and config.store_dir is None and not config.host_budget:
        raise UsageError("--store-dtype is of entries on the host or on disk: add --host-budget or --store-dir")
    if config.store_dir is not None:
        StoreFolder(config.store_dir)
    folder = RunFolder(config.output)
    if not config.resume:
        folder.require_free()
    lock = folder.lock() if config.resume else None
    model = None
    if needs_model:
        require_legible(config.model, config.workload)
        model = resolve_model(config.model, config.revision, console.note)
    streams = open_streams(config.drawn(), config.max_new_tokens)
    if config.no_image:
        streams = {workload: stream.without_media() for workload, stream in streams.items()}
    fingerprints = {workload: fingerprint(stream.conversations) for workload, stream in streams.items()}
    saved = folder.read() if config.resume else None
    return Inputs(model, streams, fingerprints, folder=folder, lock=lock, saved=saved)


def _require_media_for_what_needs_them(config: RunConfig) -> None:
    """UsageError when media are left out, and something is asked for that is about media."""
    for flag, is_given in config.about_media().items():
        if config.no_image and is_given:
            raise UsageError(f"--no-image leaves all media out, so nothing is reused: drop it or {flag}")


def prepare(
    config: RunConfig, inputs: Inputs, specs: Sequence[RunnerSpec], notes: Mapping[str, Any] | None = None
) -> Job:
    """Check that the runners fit the rest. Claims and locks the folder of a new run.

    Raises:
        UsageError: the reference is not among the runners, or the folder is of another run or cannot be written to.
    """
    require_reference(config, [spec.label for spec in specs])
    require_divisible_work(config, specs)
    require_loadable(config, specs, inputs.streams)
    require_spreadable(config, specs)
    require_followable(config, inputs.streams)
    if inputs.saved is not None:
        _require_same_run(inputs.saved, inputs.folder, config, inputs.fingerprints)
    lock = inputs.lock or inputs.folder.claim()
    stream_options = {workload: stream.describe() for workload, stream in inputs.streams.items()}
    verdict = {"margin": config.margin, "alpha": config.alpha, "slo": config.slo}
    notes = {"asked": stream_options, "verdict": verdict, **describe_follow_up(inputs.streams), **(notes or {})}
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
    from runners.build import build_runners, open_servers

    config = job.config
    with open_servers(job.specs) as servers, leading_if_launched(config, job.specs) as leader:
        model = None if job.model is None else _load(config, job.model)
        disk = None if model is None else open_disk(config)
        runners = led(leader, build_runners(job.specs, model, servers, config.reference, config.adopt, disk))
        described = next(iter(servers.values())).describe_model() if model is None else _describe(model)
        not_warmed = frozenset(label for label, server in servers.items() if not server.forgets)
        run = _serve(job, described, runners, model, not_warmed)
        if disk is not None:
            console.note(disk.close())
        return run


def _load(config: RunConfig, source: Source) -> LoadedModel:
    from runners.models.load import load_model

    return load_model(config.model, source, **config.loading(config.profile))


def _describe(model: LoadedModel) -> dict[str, Any]:
    """A model for the manifest, with what the device can do at most."""
    return model.describe() | {"ceilings": model.ceilings()}


def _serve(
    job: Job,
    described: Mapping[str, Any],
    runners: Sequence[Runner],
    model: LoadedModel | None,
    not_warmed: frozenset[str],
) -> Measurements:
    """Ask the runners.

    Args:
        described: the model for the manifest.
        not_warmed: see ``SessionOptions``.
    """
    from reports.run.changed_answers import ChangedAnswersLog
    from reports.run.measurements import Measurements
    from runners.base import primer
    from runners.records import Status

    config, loads = job.config, loads_of(job.config)
    if loads:
        described_load = describe_load(config, job.specs, job.streams)
        loads = {name: replace(load, clients=described_load.get("clients", 1)) for name, load in loads.items()}
        config = replace(config, reference=config.reference + next(iter(loads)))
        job = replace(job, config=config, notes=job.notes | {"load": described_load})
    manifest, finished = _begin(job, described, runners, loads)
    records = list(finished.values())
    live = LiveManifest(manifest, job.folder)
    watched = not loads and (config.on == "local" or manifest.sequential)
    watches = _watches(job, live) if watched else {}
    if config.on == "local" or model is None:
        answers = answers_of(
            config, job.streams, runners, finished, watches=watches, loads=loads, not_warmed=not_warmed
        )
    else:
        answers = answers_on_cluster(config, job.streams, job.specs, model, finished, watches)
    if manifest.follow_up.requests:
        answers = chain(answers, _followed_up(job, live, records, runners, finished))
    place_of = {(workload, id): place for workload, stream in job.streams.items() for id, place in stream.places()}
    log = ChangedAnswersLog(job.folder.path, keep_media=not config.no_media)

    def about(record: Record) -> str:
        """The workload, and how many of its runners are decided so far."""
        watch = watches.get(record.workload)
        return record.workload if watch is None or not watch.decided else f"{record.workload}: {watch.decided} decided"

    with job.folder.appending() as append:
        primed = {runner.label for runner in runners if primer(runner)}
        following = {
            (workload, primes): count_answers(manifest, stream, primes)
            for workload, stream in job.streams.items()
            for primes in (False, True)
        }
        total = partial(_total, job, live, following, primed, len(finished))
        for answered in console.track(answers, "answers", total, about):
            record = answered.unjudged() if manifest.model.random_weights else answered
            append(record)
            records.append(record)
            if record.agrees is False or record.status is not Status.OK:
                log.keep(record.workload, *place_of[record.workload, record.request])
    for watch in watches.values():
        watch.end()
    return Measurements(live.now, records)


def _followed_up(
    job: Job, live: LiveManifest, records: Sequence[Record], runners: Sequence[Runner], finished: Mapping[str, Record]
) -> Iterator[Record]:
    """Yield what follows up, when the first requests are among the ``records``; the choice is kept in the manifest."""
    if live.now.follow_up.chosen is None:
        chosen = choose(live.now, records, job.streams)
        live.put("follow_up", asdict(replace(live.now.follow_up, chosen=chosen)))
    yield from follow_up(job.config, live.now, job.streams, runners, finished)


def _total(
    job: Job, live: LiveManifest, following: Mapping[tuple[str, bool], int], primed: Collection[str], finished: int
) -> int:
    """Answers to come; until it is chosen whether a runner is asked on, as if one were on each workload.

    Args:
        following: ``count_answers``, by workload and by whether the chosen runner primes.
        primed: labels of the runners that store media without an answer.
    """
    labels, chosen = live.now.labels, live.now.follow_up.chosen
    total = sum(stream.turns * len(labels) for stream in job.streams.values())
    for workload, stream in job.streams.items():
        total -= count_turns(stream.follow_up) * len(labels)
        if chosen is None or workload in chosen:
            total += following[workload, chosen is not None and chosen[workload] in primed]
    return max(total - finished, 0)


def open_disk(config: RunConfig) -> DiskStore | None:
    """Open the directory of the disk tier; None where none is asked for. UsageError when it cannot be one."""
    from runners.engine.store.disk.settings import DiskSettings
    from runners.engine.store.disk.store import DiskStore

    if config.store_dir is None:
        return None
    return DiskStore(DiskSettings(config.store_dir, config.disk_budget, config.namespace), console.note)


def _watches(job: Job, live: LiveManifest) -> dict[str, Deciding]:
    """Who decides on the runners of each workload: when it is enough, or only to say what is decided so far."""
    if live.now.model.random_weights and not live.now.sequential:
        return {}
    decisions: list[dict[str, Any]] = [asdict(decision) for decision in live.now.decisions]
    return {
        workload: Deciding(
            workload=workload,
            reference=job.config.reference,
            judged=live.now.judged,
            margin=job.config.margin,
            alpha=job.config.alpha,
            finished={} if job.saved is None else job.saved.records,
            decisions=decisions,
            stops=live.now.sequential,
            keep=partial(live.put, "decisions", decisions),
        )
        for workload in job.streams
    }


def _begin(
    job: Job, model: Mapping[str, Any], runners: Sequence[Runner], loads: Iterable[str]
) -> tuple[Manifest, dict[str, Record]]:
    """Write a new run's manifest, or check that a saved run had this model and code; returns what is finished, too."""
    from reports.run.new_manifest import build_manifest
    from reports.run.resume import require_same, require_same_model

    described = {runner.label: runner.describe() for runner in runners}
    labels = labels_under_load([*described], loads)
    descriptions = [described[runner] | {"label": label} for label, runner in labels.items()]
    if job.saved is None:
        manifest = build_manifest(job.config.measured(), job.fingerprints, model, descriptions, job.notes)
        job.folder.start(manifest)
        return manifest, {}
    require_same_model(job.folder.path, job.saved.manifest.document["model"], model)
    saved = job.saved.manifest.document["runners"]
    require_same(job.folder.path, "source", _code_of(saved), _code_of(descriptions))
    require_same(job.folder.path, "options", _options_of(saved), _options_of(descriptions))
    require_same(job.folder.path, "server", _servers_of(saved), _servers_of(descriptions))
    job.folder.mend(job.saved)
    return job.saved.manifest, job.saved.records


def _code_of(runners: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The hash of the file of every runner that is a method of the user's own, by its label."""
    sources = ((runner["label"], runner.get("source")) for runner in runners)
    return {label: source.get("sha256") for label, source in sources if isinstance(source, dict)}


def _options_of(runners: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The options of every runner by its label: some, such as the donor policy, are the method's own defaults."""
    return {runner["label"]: runner.get("options") for runner in runners}


def _servers_of(runners: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What each server serves, by the label of its runner."""
    servers = ((runner["label"], runner.get("server")) for runner in runners)
    return {
        label: {name: server.get(name) for name in ("served", "version")}
        for label, server in servers
        if isinstance(server, dict)
    }


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
