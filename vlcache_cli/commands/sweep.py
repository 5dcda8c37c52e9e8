"""``vlcache sweep``: bench over recompute ratios."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from vlcache_cli import console
from vlcache_cli.commands.bench import tell_failures
from vlcache_cli.config.commands import SweepConfig
from vlcache_cli.config.flags import configured_by
from vlcache_cli.failures import ExitCode, stopping_in

if TYPE_CHECKING:
    from reports.run.measurements import Measurements
    from reports.summary.row import Row


@configured_by(SweepConfig)
def sweep(config: SweepConfig) -> ExitCode:
    """Answer workloads at several recompute ratios: which setting is the fastest that keeps the answers?"""
    from vlcache_cli.jobs.bench import measure, prepare, read_inputs
    from vlcache_cli.jobs.ratios import describe, expand, name_runners

    if config.request_rate:
        return sweep_rates(config)
    inputs = read_inputs(config)
    config = name_runners(config)
    runners = expand(config)
    job = prepare(config, inputs, [runner.spec for runner in runners], describe(config, runners))
    with job.lock, stopping_in(config.output):
        run = measure(job)
        show(config, run)
        show_working_sets(config, run, {workload: stream.distinct for workload, stream in job.streams.items()})
    return tell_failures(run.records)


def sweep_rates(config: SweepConfig) -> ExitCode:
    """Ask runners at several rates: up to which do they keep what is asked of them?"""
    from vlcache_cli.jobs.bench import measure, parse_runners, prepare, read_inputs

    config = config if config.runner else replace(config, runner=(config.reference,))
    inputs = read_inputs(config)
    job = prepare(config, inputs, parse_runners(config, None))
    with job.lock, stopping_in(config.output):
        run = measure(job)
        show_rates(config, run)
    return tell_failures(run.records)


def show_rates(config: SweepConfig, run: Measurements) -> None:
    """The tables on stdout; where the knees are, where the run is kept and what is drawn on stderr."""
    from reports.forms import table
    from reports.pictures.curve_files import draw_load
    from reports.pictures.load_curve import knees
    from reports.summary.notices import find_notices
    from reports.summary.summarise import summarise

    rows = summarise(run, config.margin, config.alpha)
    notices = find_notices(run, rows)
    if config.json:
        from reports.forms.json import summary_document

        console.show_text(summary_document(run.manifest, rows, notices=[asdict(notice) for notice in notices]))
    else:
        console.show(table.render(rows, run.manifest.reference, notices), table.WIDTH)
    rates = {} if run.manifest.load is None else run.manifest.load.rates
    for workload in dict.fromkeys(row.workload for row in rows):
        for knee in knees([row for row in rows if row.workload == workload], rates):
            told = "not even the lowest rate" if knee.rate is None else f"{knee.rate:g} requests a second"
            console.note(f"{workload}: {knee.family} keeps up to {told}")
    for picture in draw_load(rows, rates, config.output / "plots"):
        console.note(f"drawn in {picture}")
    console.note(f"run kept in {config.output}")


def show(config: SweepConfig, run: Measurements) -> None:
    """The trade-off on stdout, where it is kept and drawn on stderr."""
    from reports.pictures.sweep_files import draw
    from reports.summary.notices import find_notices
    from reports.summary.summarise import summarise
    from reports.sweep.trade_off import analyse

    rows = summarise(run, config.margin, config.alpha)
    notices = find_notices(run, rows)
    trade_off = analyse(rows, run, config.margin, config.alpha)
    if config.json:
        from reports.forms.json import answers_document, summary_document

        parts = {"notices": [asdict(notice) for notice in notices], "answers": answers_document(rows, run.manifest)}
        console.show_text(summary_document(run.manifest, rows, **parts, sweep=trade_off.to_json()))
    else:
        from reports.answers.block import compose
        from reports.forms import answer_block
        from reports.forms.sweep_table import render
        from reports.forms.table import WIDTH

        block = compose(rows, run.manifest, notices, str(config.output))
        console.show(answer_block.render(block), WIDTH)
        console.show(render(trade_off, notices), WIDTH)
    for picture in draw(trade_off, config.output / "plots"):
        console.note(f"drawn in {picture}")
    console.note(f"run kept in {config.output}")


def show_working_sets(config: SweepConfig, run: Measurements, distinct: Mapping[str, int]) -> None:
    """Tell up to how many distinct media each runner pays, and draw it; ``distinct``: by workload, 0 for none."""
    from reports.pictures.curve_files import draw_working_sets
    from reports.pictures.working_set import break_even
    from reports.summary.summarise import summarise
    from vlcache_cli.jobs.streams import DISTINCT

    sets: dict[str, dict[int, list[Row]]] = {}
    for row in summarise(run, config.margin, config.alpha):
        if distinct[row.workload]:
            of_workload = sets.setdefault(row.workload.partition(DISTINCT)[0], {})
            of_workload.setdefault(distinct[row.workload], []).append(row)
    for workload, rows in sets.items():
        for found in break_even(rows):
            told = "at none of these" if found.distinct is None else f"up to {found.distinct}"
            console.note(f"{workload}: {found.runner} pays {told} distinct cases of media")
    for picture in draw_working_sets(sets, config.output / "plots"):
        console.note(f"drawn in {picture}")
