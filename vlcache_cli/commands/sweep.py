"""``vlcache sweep``: bench over recompute ratios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from vlcache_cli import console
from vlcache_cli.commands.bench import tell_failures
from vlcache_cli.config.commands import SweepConfig
from vlcache_cli.config.flags import configured_by
from vlcache_cli.failures import ExitCode, stopping_in

if TYPE_CHECKING:
    from reports.run.measurements import Measurements
    from reports.summary.row import Row

FEWEST_VISITS = 3
"""Requests for each distinct case, below which hardly any comes back."""


@configured_by(SweepConfig)
def sweep(config: SweepConfig) -> ExitCode:
    """Answer workloads at several recompute ratios: which setting is the fastest that keeps the answers?"""
    from vlcache_cli.jobs.bench import measure, prepare, read_inputs
    from vlcache_cli.jobs.ranks import follow_if_launched
    from vlcache_cli.jobs.ratios import describe, expand, name_runners

    if (followed := follow_if_launched()) is not None:
        return followed
    if config.request_rate:
        return sweep_rates(config)
    inputs = read_inputs(config)
    config = name_runners(config)
    runners = expand(config)
    job = prepare(config, inputs, [runner.spec for runner in runners], describe(config, runners))
    with job.lock, stopping_in(config.output):
        run = measure(job)
        show(config, run, {workload: stream.distinct for workload, stream in job.streams.items()})
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
    from reports.summary.load import client_bound
    from reports.summary.notices import find_notices
    from reports.summary.summarise import summarise
    from reports.sweep.load_knee import knees

    rows = summarise(run, config.margin, config.alpha)
    notices = find_notices(run, rows)
    rates = {} if run.manifest.load is None else run.manifest.load.rates
    bound = client_bound(run)
    found = {
        workload: knees([row for row in rows if row.workload == workload], rates, bound)
        for workload in dict.fromkeys(row.workload for row in rows)
    }
    if config.json:
        from reports.forms.json import summary_document

        told = {workload: [knee.to_json() for knee in each] for workload, each in found.items()}
        parts = {"notices": [asdict(notice) for notice in notices], "knees": told}
        console.show_text(summary_document(run.manifest, rows, **parts))
    else:
        console.show(table.render(rows, run.manifest.reference, notices), table.WIDTH)
    for workload, each in found.items():
        for knee in each:
            rate = "not even the lowest rate" if knee.rate is None else f"{knee.rate:g} requests a second"
            beyond = "; beyond, the client itself was too slow" if knee.is_bound else ""
            console.note(f"{workload}: {knee.family} keeps up to {rate}{beyond}")
    for picture in draw_load(rows, rates, found, config.output / "plots"):
        console.note(f"drawn in {picture}")
    console.note(f"run kept in {config.output}")


def show(config: SweepConfig, run: Measurements, distinct: Mapping[str, int]) -> None:
    """The trade-off on stdout, where it is kept and drawn on stderr; ``distinct``: see ``working_sets``."""
    from reports.pictures.sweep_files import draw
    from reports.summary.notices import find_notices
    from reports.summary.summarise import summarise
    from reports.sweep.trade_off import analyse

    rows = summarise(run, config.margin, config.alpha)
    notices = find_notices(run, rows)
    trade_off = analyse(rows, run, config.margin, config.alpha)
    sets = working_sets(rows, distinct)
    if config.json:
        from reports.forms.json import answers_document, summary_document

        parts: dict[str, Any] = {
            "notices": [asdict(notice) for notice in notices],
            "answers": answers_document(rows, run.manifest),
        }
        if sets:
            from reports.sweep.working_set import break_even

            parts |= {"break_even": {name: [each.to_json() for each in break_even(of)] for name, of in sets.items()}}
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
    show_working_sets(config, sets)
    console.note(f"run kept in {config.output}")


def working_sets(rows: Sequence[Row], distinct: Mapping[str, int]) -> dict[str, dict[int, list[Row]]]:
    """The rows of each workload by number of distinct media; ``distinct``: by the name in the rows, 0 for none."""
    from vlcache_cli.jobs.streams import DISTINCT

    sets: dict[str, dict[int, list[Row]]] = {}
    for row in rows:
        if distinct[row.workload]:
            of_workload = sets.setdefault(row.workload.partition(DISTINCT)[0], {})
            of_workload.setdefault(distinct[row.workload], []).append(row)
    return sets


def show_working_sets(config: SweepConfig, sets: Mapping[str, Mapping[int, Sequence[Row]]]) -> None:
    """Tell up to how many distinct media each runner pays, and draw it."""
    from reports.pictures.curve_files import draw_working_sets
    from reports.sweep.working_set import break_even

    for workload, rows in sets.items():
        for found in break_even(rows):
            told = "at none of these" if found.distinct is None else f"up to {found.distinct}"
            console.note(f"{workload}: {found.runner} pays {told} distinct cases of media")
        few = [number for number, of_number in rows.items() if of_number[0].requests < FEWEST_VISITS * number]
        if few:
            console.note(
                f"{workload}: at {', '.join(map(str, few))} most media come once or twice, whatever caches hold: "
                f"give --samples {FEWEST_VISITS * max(few)} or more"
            )
    for picture in draw_working_sets(sets, config.output / "plots"):
        console.note(f"drawn in {picture}")
