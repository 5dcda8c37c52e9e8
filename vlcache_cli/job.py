"""A bench job: checked while it is cheap, then measured request by request into its run folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vlcache_cli import console
from vlcache_cli.config import BenchConfig
from workloads.errors import UsageError

if TYPE_CHECKING:
    from reports.manifest import Manifest
    from reports.store import RunFolder, SavedRun
    from runners.base import Runner
    from runners.models import LoadedModel
    from runners.records import Record
    from runners.registry import RunnerSpec
    from workloads.records import Conversation


@dataclass(frozen=True)
class Job:
    """What is to be done, known to be possible as far as that can be told without the weights.

    Attributes:
        streams: the conversations of each workload.
        fingerprints: of each stream.
        saved: the run that is continued; None for a new one.
    """

    config: BenchConfig
    specs: Sequence[RunnerSpec]
    model: Path
    streams: dict[str, list[Conversation]]
    fingerprints: dict[str, str]
    folder: RunFolder
    saved: SavedRun | None


def prepare(config: BenchConfig) -> Job:
    """Check everything that needs no weights: names, options, the folder. Claims a new run's folder.

    Raises:
        UsageError: the first thing that will not work.
    """
    from reports.store import RunFolder
    from runners.models import resolve_model
    from workloads.fingerprint import fingerprint

    specs = _parse_runners(config)
    model = resolve_model(config.model)
    streams = _open_streams(config)
    fingerprints = {workload: fingerprint(stream) for workload, stream in streams.items()}
    folder = RunFolder(config.output)
    saved = _reopen(folder, config, fingerprints) if config.resume else None
    if saved is None:
        folder.claim()
    return Job(config, specs, model, streams, fingerprints, folder, saved)


def measure(job: Job) -> tuple[Manifest, list[Record]]:
    """Answer what is not yet answered, each record kept as it comes; returns the whole run."""
    from runners.local import build_runner
    from runners.models import load_model
    from runners.session import SessionOptions, serve

    config = job.config
    model = load_model(config.model, job.model, config.dtype, config.device)
    runners = [build_runner(spec, model) for spec in job.specs]
    manifest, finished = _begin(job, model, runners)
    options = SessionOptions(config.reference, config.seed, config.max_new_tokens, config.warmup)
    records = list(finished.values())
    with job.folder.appending() as append:
        for workload, stream in job.streams.items():
            total = len(runners) * sum(len(conversation.turns) for conversation in stream)
            left = total - sum(record.workload == workload for record in finished.values())
            for record in console.track(serve(workload, stream, runners, options, finished), workload, left):
                append(record)
                records.append(record)
    return manifest, records


def _begin(job: Job, model: LoadedModel, runners: Sequence[Runner]) -> tuple[Manifest, dict[str, Record]]:
    """Write a new run's manifest, or check that a saved run had this model; returns what is finished, too."""
    from reports.manifest import build_manifest, require_same_model

    if job.saved is None:
        described = [runner.describe() for runner in runners]
        manifest = build_manifest(job.config.measured(), job.fingerprints, model.describe(), described)
        job.folder.start(manifest)
        return manifest, {}
    require_same_model(job.folder.path, job.saved.manifest["model"], model.describe())
    job.folder.mend(job.saved)
    return job.saved.manifest, job.saved.records


def _parse_runners(config: BenchConfig) -> list[RunnerSpec]:
    from runners.registry import RunnerDefaults, parse_specs

    defaults = RunnerDefaults(config.recompute_ratio, config.donor, config.device_budget, config.strict_reuse)
    specs = parse_specs(config.runner, defaults)
    labels = [spec.label for spec in specs]
    if config.reference not in labels:
        raise UsageError(
            f"the reference '{config.reference}' is not among the runners ({', '.join(labels)}): "
            f"add --runner {config.reference}, or choose another --reference"
        )
    return specs


def _open_streams(config: BenchConfig) -> dict[str, list[Conversation]]:
    from workloads.base import StreamOptions
    from workloads.registry import open_workloads

    options = StreamOptions(config.samples, config.seed, config.reuse_rate)
    return {workload.name: list(workload.conversations(options)) for workload in open_workloads(config.workload)}


def _reopen(folder: RunFolder, config: BenchConfig, fingerprints: dict[str, str]) -> SavedRun:
    """Read a run and check that it can be continued with ``config``."""
    from reports.manifest import require_same

    saved = folder.read()
    require_same(folder.path, "config", saved.manifest["config"], config.measured())
    require_same(folder.path, "workloads", saved.manifest["workloads"], fingerprints)
    return saved
