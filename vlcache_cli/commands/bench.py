"""``vlcache bench``: the main job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from vlcache_cli import console
from vlcache_cli.config.commands import BenchConfig
from vlcache_cli.config.flags import configured_by
from vlcache_cli.failures import ExitCode, stopping_in

if TYPE_CHECKING:
    from reports.run.measurements import Measurements
    from runners.records import Record


@configured_by(BenchConfig)
def bench(config: BenchConfig) -> ExitCode:
    """Answer workloads with several runners and compare their speed and their answers."""
    from runners.registry import METHODS, SERVERS, read_names
    from vlcache_cli.jobs.bench import measure, parse_runners, prepare, read_inputs, require_reference
    from vlcache_cli.jobs.ranks import follow_if_launched

    if (followed := follow_if_launched()) is not None:
        return followed
    named = read_names(config.runner)
    if all(
        runner.method in (*METHODS, *SERVERS) for runner in named
    ):  # a user's own is looked for first, which needs torch
        require_reference(config, [runner.label for runner in named])
    inputs = read_inputs(config)
    job = prepare(config, inputs, parse_runners(config, config.recompute_ratio))
    with job.lock, stopping_in(config.output):
        run = measure(job)
        show(config, run)
    return tell_failures(run.records)


def show(config: BenchConfig, run: Measurements) -> None:
    """The summary on stdout, where it is kept on stderr."""
    from reports.summary.notices import find_notices
    from reports.summary.summarise import summarise

    rows = summarise(run, config.margin, config.alpha)
    notices = find_notices(run, rows)
    if config.json:
        from reports.forms.json import answers_document, summary_document

        parts = {"notices": [asdict(notice) for notice in notices], "answers": answers_document(rows, run.manifest)}
        console.show_text(summary_document(run.manifest, rows, **parts))
    else:
        from reports.answers.block import WIDTH, compose
        from reports.forms import answer_block, table

        block = compose(rows, run.manifest, notices, str(config.output))
        console.show(answer_block.render(block), WIDTH)
        if config.wide:
            console.show(table.render(rows, config.reference, notices), table.WIDTH)
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
