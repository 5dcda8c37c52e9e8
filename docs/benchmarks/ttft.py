"""TTFT of every kind of runner on large pages that come back: one Markdown table for each size, from `vlcache bench`.

    python docs/benchmarks/ttft.py [--shape NAME | --model builtin] [--size PAGESxTOKENS]... [--requests N] [--warmup N]
        [--device auto|cpu|cuda] [--dtype auto|float32|bfloat16|float16] [--device-budget SIZE] [--host-budget SIZE]
        [--output FOLDER] [--seconds N]

Pages and requests are those of ``page_runs``. Medians are over warm requests, ratios are taken request by request. All
sizes are one run, kept in the folder if one is given; the same command goes on with a run that was stopped, by
``--seconds`` or otherwise. Models are those of the Qwen-VL families. Exit code 1 when something was not measured as
asked, 2 for what cannot be done here, 75 when it was stopped by ``--seconds``: the tables are of what there is by then.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from page_runs import (
    ALL_OK,
    SOME_FAILED,
    UNFINISHED,
    Row,
    Run,
    Size,
    add_options,
    facts,
    markdown,
    measure,
    median_of,
    number,
    part_ms,
    read_runs,
    shortcomings,
    write_pages,
)

from runners.engine.measure.timing import PARTS

SIZES = ("1x1000", "1x4000", "1x10000", "8x1200")
RUNNERS = (
    "full,encoder-cache,prefix-cache,full-reuse",
    "cacheblend@ratio=0.15",
    "conduit@ratio=0.05",
    "vlcache@ratio=0.05",
    "vlcache@ratio=0.02",
)
LEGEND = (
    "TTFT: median of warm requests, from encoded files in hand to the first token on the host; decoding and "
    "preprocessing of the pictures are in it. KV on host: what is reused comes from the host's memory. Faster: median "
    "of TTFT full / runner within a request; than lossless: against the fastest runner that changes no answers. Floor: "
    "TTFT / the shortest time that this device could take for the work."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write pages of every size, measure and print; the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parse(arguments)
    sizes: list[Size] = options.size or [Size.parse(size) for size in SIZES]
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.output or Path(temporary)
        if not write_pages(options, sizes, folder):
            return 2
        print(f"```sh\n{shlex.join(['python', 'docs/benchmarks/ttft.py', *arguments])}\n```\n\n{LEGEND}\n", flush=True)
        code = measure(options, sizes, [part for runner in RUNNERS for part in ("--runner", runner)], folder)
        runs = read_runs(sizes, folder)
    if runs:
        print(f"{facts(next(iter(runs.values())).manifest)}\n")
    right = code in (ALL_OK, SOME_FAILED)
    for size in sizes:
        run = runs.get(size)
        wrong = ["not measured"] if run is None else shortcomings(run, size, options.requests)
        parts = [f"## {options.model}, {size}", *([] if run is None else [tables(run)])]
        print("\n\n".join([*parts, *(f"**{line}**" for line in wrong)]), end="\n\n", flush=True)
        right = right and not wrong
    return UNFINISHED if code == UNFINISHED else 0 if right else 1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, "shape:qwen2.5-vl-7b", SIZES, requests=10)
    return parser.parse_args(arguments)


def tables(run: Run) -> str:
    """The ceilings of the device, what each runner takes, and where its time goes."""
    ceilings = run.manifest["model"]["ceilings"]
    reached = (
        f"Measured ceilings: {ceilings['flops_per_s'] / 1e12:.3g} TFLOP/s, {ceilings['bytes_per_s'] / 1e9:.4g} GB/s "
        f"within the device, {ceilings['host_bytes_per_s'] / 1e9:.3g} GB/s from the host."
    )
    main_heads = ["runner", "warm requests", "TTFT ms", "KV on host, ms", "times as fast", "KV on host"]
    main_heads += ["than lossless", "computed %", "floor", "peak memory MB"]
    part_heads = ["median ms", *PARTS, "recording, all"]
    overview = markdown(main_heads, [_overview(run, row) for row in run.rows])
    return f"{reached}\n\n{overview}\n\n{markdown(part_heads, [_parts(run, row) for row in run.rows])}"


def _overview(run: Run, row: Row) -> list[str]:
    timings = [record.timing for record in run.warm(row["runner"]) if record.timing is not None]
    on_host = [timing.host_ttft_ms for timing in timings if timing.host_ttft_ms is not None]
    computed, peak = row["recompute_ratio"], row["peak_memory_mb"]
    return [
        f"`{row['runner']}`",
        str(len(timings)),
        number(median_of(timing.ttft_ms for timing in timings), ".1f"),
        number(median_of(on_host), ".1f"),
        number(row["ttft_speedup"], ".2f"),
        number(row["ttft_host_speedup"], ".2f"),
        number(row["ttft_speedup_vs_lossless"], ".2f"),
        number(None if computed is None else 100 * computed, ".1f"),
        number(row["floor_ratio"], ".2f"),
        number(peak, ",.0f"),
    ]


def _parts(run: Run, row: Row) -> list[str]:
    timings = [record.timing for record in run.warm(row["runner"]) if record.timing is not None]
    parts = (median_of(part_ms(timing, part) for timing in timings) for part in PARTS)
    recording = sum(timing.capture_ms for timing in timings)
    return [f"`{row['runner']}`", *(number(part, ".1f") for part in parts), number(recording, ".0f")]


if __name__ == "__main__":
    sys.exit(main())
