"""Is `vlcache` non-inferior to full recomputation, and does any rival beat it? Tables of a saved run, as Markdown.

    vlcache bench --samples 450 --reuse-rate 0.5 --seed 7001 --output RUN --runner ... (docs/method.md has the command)
    python docs/benchmarks/rivals.py RUN... [--ours vlcache] [--margin 0.02] [--alpha 0.05]

Per workload and runner: what was executed on warm requests, accuracy, its change against the reference with interval
and verdict, and accuracy of ours less the runner's: no rival is better where the lower end is above -margin.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from reports.frame import to_frame
from reports.pairing import paired_difference
from reports.stats import Interval
from reports.store import RunFolder
from reports.summary import Row, summarise


def main() -> None:
    """Print the tables of every run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="+")
    parser.add_argument("--ours", default="vlcache")
    parser.add_argument("--margin", type=float, default=0.02)
    parser.add_argument("--alpha", type=float, default=0.05)
    options = parser.parse_args()
    for run in options.run:
        saved = RunFolder(run).read()
        records = list(saved.records.values())
        rows = summarise(records, saved.manifest, options.margin, options.alpha)
        frame = to_frame(records)
        for workload in dict.fromkeys(row["workload"] for row in rows):
            _table([row for row in rows if row["workload"] == workload], frame, options)


def _table(rows: list[Row], frame: pd.DataFrame, options: argparse.Namespace) -> None:
    first = rows[0]
    warm = frame[(frame["workload"] == first["workload"]) & (frame["runner"] == first["runner"])]["warmth"] == "warm"
    print(
        f"\n### {first['workload']}, {first['model']}\n\n{first['requests']} requests ({int(warm.sum())} warm) in "
        f"{first['clusters']} clusters; {first['vision_tokens']:.0f} vision tokens a request, "
        f"{100 * first['content_share']:.1f} % of them content\n"
    )
    print("| runner | computed % | FLOPs % | accuracy % | change, points | verdict | ours less it, points | better? |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        against = paired_difference(frame, row["workload"], options.ours, row["runner"], options.alpha)
        ends = against.interval if against and row["runner"] != options.ours else None
        mine = f"{100 * against.mean:+.1f} {_interval(ends)}" if against and ends else "-"
        better = "-" if ends is None else "no" if ends.low > -options.margin else "yes" if ends.high < 0 else "open"
        change = Interval(row["accuracy_delta_ci_low"] or 0.0, row["accuracy_delta_ci_high"] or 0.0)
        told = (
            "-" if row["accuracy_delta_ci_low"] is None else f"{100 * row['accuracy_delta']:+.1f} {_interval(change)}"
        )
        print(
            f"| {row['runner']} | {100 * row['recompute_ratio']:.1f} | {100 * row['executed_flops_ratio']:.1f} | "
            f"{100 * row['accuracy']:.1f} | {told} | {row['verdict'] or '-'} | {mine} | {better} |"
        )


def _interval(ends: Interval) -> str:
    return f"[{100 * ends.low:+.1f}, {100 * ends.high:+.1f}]"


if __name__ == "__main__":
    main()
