"""Is `vlcache` non-inferior to full recomputation, and does any rival beat it? Tables of a saved run, as Markdown.

    vlcache bench --samples 200 --reuse-rate 0.67 --popularity even --seed 7001 --output RUN --runner ...
    python docs/benchmarks/rivals.py RUN... [--ours vlcache] [--best] [--margin 0.02] [--alpha 0.05]

Several runs, of other seeds, count as one: what is stored for a long stream would not fit a small machine's memory.
Per workload and runner: what was executed on warm requests, accuracy, its change against the reference with interval
and verdict (both on requests with a medium sent before), and accuracy of ours less the runner's, there too: it is
better by the margin where the interval lies below -margin, not where it lies above, open in between.

Runners that differ in their donor policy alone, such as ``conduit`` and ``conduit@donor=previous``, are one rival: the
one with the fewest changed answers is bold, and ``--best`` shows it alone. It is chosen on the requests that are shown,
which flatters the rival.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from reports.run.descriptions import RunnerDescription
from reports.run.measurements import Measurements
from reports.run.store import RunFolder
from reports.statistics.intervals import Interval
from reports.statistics.levels import DEFAULT_ALPHA, DEFAULT_MARGIN
from reports.statistics.pairing import paired_difference
from reports.summary.row import Row
from reports.summary.summarise import summarise
from runners.records import Record


def main() -> None:
    """Print the tables of every run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="+")
    parser.add_argument("--ours", default="vlcache")
    parser.add_argument("--best", action="store_true", help="of each rival only the best donor policy")
    parser.add_argument("--margin", type=float, default=DEFAULT_MARGIN)
    parser.add_argument("--alpha", type=float, default=DEFAULT_ALPHA)
    options = parser.parse_args()
    runs = [RunFolder(run).read() for run in options.run]
    records = [_named(record, number) for number, run in enumerate(runs) for record in run.records.values()]
    together = Measurements(runs[0].manifest, records)
    rows = summarise(together, options.margin, options.alpha)
    described = {runner.label: runner for runner in together.manifest.runners}
    for workload in dict.fromkeys(row.workload for row in rows):
        _table([row for row in rows if row.workload == workload], together.frame, described, options)


def _named(record: Record, run: int) -> Record:
    """Requests and clusters of different runs are different, whatever they are called."""
    return replace(record, request=f"{run}/{record.request}", cluster_id=f"{run}/{record.cluster_id}")


def best_donors(rows: Sequence[Row], runners: Mapping[str, RunnerDescription]) -> dict[str, list[str]]:
    """Sort the labels of each rival, runners that differ in their donor policy alone, by changed answers, fewest first.

    By the label of the best; equals stay in their order.
    """
    rivals: dict[str, list[Row]] = {}
    for row in rows:
        runner = runners[row.runner]
        others = sorted((name, value) for name, value in runner.options.items() if name != "donor")
        rivals.setdefault(f"{runner.method} {others}", []).append(row)
    for rival in rivals.values():
        rival.sort(key=lambda row: 1.0 if row.flip_rate is None else row.flip_rate)
    return {rival[0].runner: [row.runner for row in rival] for rival in rivals.values()}


def _table(
    rows: list[Row], frame: pd.DataFrame, runners: Mapping[str, RunnerDescription], options: argparse.Namespace
) -> None:
    first, best = rows[0], best_donors(rows, runners)
    if options.best:
        rows = [row for row in rows if row.runner in best]
    print(
        f"\n### {first.workload}, {first.model}\n\n{first.requests} requests, {first.compared} with a "
        f"medium sent before, worth at least {first.compared_worth:.0f} that share none; "
        f"{first.vision_tokens:.0f} vision tokens a request, {_percent(first.content_share)} % of them content\n"
    )
    print(
        "| runner | donor | computed % | FLOPs % | accuracy % | changed answers % | change | verdict | ours less it | "
        "better by the margin? |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        against = paired_difference(frame, row.workload, options.ours, row.runner, options.alpha)
        ends = against.interval if against and row.runner != options.ours else None
        mine = f"{100 * against.mean:+.1f} {_interval(ends)}" if against and ends else "-"
        better = "-" if ends is None else _better(ends, options.margin)
        change = Interval(row.accuracy_delta_ci_low or 0.0, row.accuracy_delta_ci_high or 0.0)
        told = "-"
        if row.accuracy_delta is not None and row.accuracy_delta_ci_low:
            told = f"{100 * row.accuracy_delta:+.1f} {_interval(change)}"
        label = f"**{row.runner}**" if len(best.get(row.runner, ())) > 1 else row.runner
        print(
            f"| {label} | {runners[row.runner].options.get('donor', '-')} | {_percent(row.recompute_ratio)} | "
            f"{_percent(row.executed_flops_ratio)} | {_percent(row.accuracy)} | {_percent(row.flip_rate)} | {told} | "
            f"{row.verdict or '-'} | {mine} | {better} |"
        )


def _better(ours_less_it: Interval, margin: float) -> str:
    if ours_less_it.low > -margin:
        return "no"
    return "yes" if ours_less_it.high < -margin else "open"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def _interval(ends: Interval) -> str:
    return f"[{100 * ends.low:+.1f}, {100 * ends.high:+.1f}]"


if __name__ == "__main__":
    main()
