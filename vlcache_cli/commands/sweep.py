"""``vlcache sweep``: bench over recompute ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from vlcache_cli import console
from vlcache_cli.commands.bench import tell_failures
from vlcache_cli.config import SweepConfig
from vlcache_cli.failures import ExitCode, stopping_in
from vlcache_cli.options import configured_by

if TYPE_CHECKING:
    from reports.manifest import Manifest
    from runners.records import Record


@configured_by(SweepConfig)
def sweep(config: SweepConfig) -> ExitCode:
    """Answer workloads at several recompute ratios: which setting is the fastest that keeps the answers?"""
    from vlcache_cli.expansion import describe, expand, name_runners
    from vlcache_cli.job import measure, prepare

    config = name_runners(config)
    runners = expand(config)
    job = prepare(config, [runner.spec for runner in runners], describe(config, runners))
    with stopping_in(config.output):
        manifest, records = measure(job)
        show(config, manifest, records)
    return tell_failures(records)


def show(config: SweepConfig, manifest: Manifest, records: Sequence[Record]) -> None:
    """The trade-off on stdout, where it is kept and drawn on stderr."""
    from reports.notices import find_notices
    from reports.plots import draw
    from reports.summary import summarise
    from reports.sweep import analyse

    rows = summarise(records, manifest, config.margin, config.alpha)
    notices = find_notices(records, rows, manifest)
    trade_off = analyse(rows, records, manifest, config.margin, config.alpha)
    if config.json:
        from reports.export import to_json

        console.show_text(
            to_json(manifest, rows, notices=[asdict(notice) for notice in notices], sweep=trade_off.to_json())
        )
    else:
        from reports.sweep_tables import render
        from reports.tables import WIDTH

        console.show(render(trade_off, notices), WIDTH)
    for picture in draw(trade_off, config.output / "plots"):
        console.note(f"drawn in {picture}")
    console.note(f"run kept in {config.output}")
