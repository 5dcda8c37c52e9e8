"""``vlcache bench``: the main job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vlcache_cli import console, settings
from vlcache_cli.config import DEFAULTS, SETTINGS, BenchConfig
from vlcache_cli.failures import ExitCode, stopping_in
from vlcache_cli.layers import flag, resolve

if TYPE_CHECKING:
    from reports.manifest import Manifest
    from runners.records import Record


def _option(name: str) -> Any:
    """The flag of a setting; its group, meaning and default are told by the configuration."""
    setting, default = SETTINGS[name], getattr(DEFAULTS, name)
    names = f"{flag(name)}/--no-{flag(name)[2:]}" if isinstance(default, bool) else flag(name)
    hidden = default is None or default is False
    meaning = setting.meaning if hidden else f"{setting.meaning} (default: {setting.shown or settings.show(default)})"
    return typer.Option(names, help=meaning, rich_help_panel=setting.group)


def bench(
    context: typer.Context,
    workload: Annotated[list[str] | None, _option("workload")] = None,
    samples: Annotated[int | None, _option("samples")] = None,
    seed: Annotated[int | None, _option("seed")] = None,
    reuse_rate: Annotated[float | None, _option("reuse_rate")] = None,
    max_new_tokens: Annotated[int | None, _option("max_new_tokens")] = None,
    warmup: Annotated[int | None, _option("warmup")] = None,
    runner: Annotated[list[str] | None, _option("runner")] = None,
    reference: Annotated[str | None, _option("reference")] = None,
    recompute_ratio: Annotated[float | None, _option("recompute_ratio")] = None,
    donor: Annotated[str | None, _option("donor")] = None,
    model: Annotated[str | None, _option("model")] = None,
    dtype: Annotated[str | None, _option("dtype")] = None,
    device: Annotated[str | None, _option("device")] = None,
    device_budget: Annotated[str | None, _option("device_budget")] = None,
    strict_reuse: Annotated[bool | None, _option("strict_reuse")] = None,
    output: Annotated[str | None, _option("output")] = None,
    resume: Annotated[bool | None, _option("resume")] = None,
    json: Annotated[bool | None, _option("json")] = None,
    preset: Annotated[str | None, _option("preset")] = None,
    config: Annotated[str | None, _option("config")] = None,
) -> None:
    """Answer workloads with several runners and compare their speed and their answers."""
    resolved = resolve(context.params)
    raise typer.Exit(run(resolved))


def run(config: BenchConfig) -> ExitCode:
    """Check, measure, show; the exit code says whether every request was answered."""
    from vlcache_cli.job import measure, prepare

    job = prepare(config)
    with stopping_in(config.output):
        manifest, records = measure(job)
        show(config, manifest, records)
    return tell_failures(records)


def show(config: BenchConfig, manifest: Manifest, records: Sequence[Record]) -> None:
    """The summary on stdout, where it is kept on stderr."""
    from reports.summary import summarise

    rows = summarise(records, manifest)
    if config.json:
        from reports.export import to_json

        console.show_text(to_json(manifest, rows))
    else:
        from reports.tables import WIDTH, render

        console.show(render(rows, config.reference), WIDTH)
    console.note(f"run kept in {config.output}")


def tell_failures(records: Sequence[Record]) -> ExitCode:
    """One line for each runner and kind of failure, with its first reason."""
    from runners.records import Status

    failures: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if record.status is not Status.OK:
            failures.setdefault((record.runner, record.status.value), []).append(record)
    for (runner, status), failed in failures.items():
        console.note(f"runner {runner}: {len(failed)} requests failed ({status}), the first: {failed[0].error}")
    return ExitCode.REQUESTS_FAILED if failures else ExitCode.OK
