"""TTFT of every kind of runner on large pages that come back: one Markdown table for each size, from `vlcache bench`.

    python docs/benchmarks/ttft.py [--shape NAME | --model builtin] [--size PAGESxTOKENS]... [--requests N] [--warmup N]
        [--device auto|cpu|cuda] [--dtype auto|float32|bfloat16|float16] [--device-budget SIZE] [--host-budget SIZE]
        [--output FOLDER]

Pages of so many vision tokens each come alone, then all together in as many requests as asked for, each under other
text and in another order: a prefix miss. Medians are over these warm requests, ratios are taken request by request.
The runs are kept in the folder if one is given. Models are those of the Qwen-VL families. Exit code 1 when something
was not measured as asked, 2 for what cannot be done here.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from reports.run.store import RunFolder
from runners.engine.measure.timing import PARTS
from runners.models.choices import DEVICES, DTYPES
from runners.records import Record, Timing, Warmth

PAGES = Path(__file__).with_name("pages.py")
SIZES = ("1x1000", "1x4000", "1x10000", "8x1200")
RUNNERS = (
    "full,encoder-cache,prefix-cache",
    "cacheblend@ratio=0.15",
    "conduit@ratio=0.05",
    "vlcache@ratio=0.05",
    "vlcache@ratio=0.02",
)
ALL_OK, SOME_FAILED = 0, 4  # exit codes of vlcache bench
LEGEND = (
    "TTFT: median of warm requests, from encoded files in hand to the first token on the host; decoding and "
    "preprocessing of the pictures are in it. KV on host: what is reused comes from the host's memory. Faster: median "
    "of TTFT full / runner within a request; than lossless: against the fastest runner that changes no answers. Floor: "
    "TTFT / the shortest time that this device could take for the work."
)
CAVEAT = "The weights are random: nothing here says how right the answers are."

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Size:
    """How many pages a request shows, and how many vision tokens each has."""

    pages: int
    tokens: int

    @classmethod
    def parse(cls, text: str) -> Size:
        """From ``PAGESxTOKENS``; an error for the command line when it is not that."""
        pages, _, tokens = text.partition("x")
        if not (pages.isdecimal() and tokens.isdecimal() and int(pages) and int(tokens)):
            raise argparse.ArgumentTypeError(f"'{text}' is not PAGESxTOKENS, such as 8x1200")
        return cls(int(pages), int(tokens))

    def __str__(self) -> str:
        return f"{self.pages} page{'s' * (self.pages > 1)} of {self.tokens:,} vision tokens"


@dataclass(frozen=True)
class Run:
    """What one benchmark of one size gave."""

    manifest: Mapping[str, Any]
    rows: Sequence[Row]
    records: Sequence[Record]

    def warm(self, runner: str) -> list[Record]:
        """A runner's records of requests all of whose pages were sent before; only those that have times."""
        records = [record for record in self.records if record.runner == runner and record.timing is not None]
        return [record for record in records if record.warmth is Warmth.WARM]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write pages of every size, measure and print; the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parse(arguments)
    sizes: list[Size] = options.size or [Size.parse(size) for size in SIZES]
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.output or Path(temporary)
        for size in sizes:
            done = subprocess.run(pages_command(options, size, folder))
            if done.returncode:
                return 2
        print(f"```sh\n{shlex.join(['python', 'docs/benchmarks/ttft.py', *arguments])}\n```\n\n{LEGEND}\n", flush=True)
        told, right = False, True
        for size in sizes:
            run = measure(options, size, folder)
            if run is not None and not told:
                print(f"{facts(run.manifest)}\n")
                told = True
            wrong = ["not measured"] if run is None else shortcomings(run, size)
            parts = [f"## {options.model}, {size}", *([] if run is None else [tables(run)])]
            print("\n\n".join([*parts, *(f"**{line}**" for line in wrong)]), end="\n\n", flush=True)
            right = right and not wrong
    return 0 if right else 1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model", default="shape:qwen2.5-vl-7b")
    which.add_argument("--shape", dest="model", type="shape:{}".format, help="NAME for --model shape:NAME")
    parser.add_argument("--size", type=Size.parse, action="append", metavar="PAGESxTOKENS", help=" ".join(SIZES))
    parser.add_argument("--requests", type=int, default=10, help="warm requests; up to 10 have texts of one length")
    parser.add_argument("--warmup", type=int, help="so that every runner has met a warm request: pages + 1")
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--dtype", choices=DTYPES, default="auto", help="auto: bfloat16 for shapes")
    parser.add_argument("--device-budget", default="8GiB")
    parser.add_argument("--host-budget", default="8GiB")
    parser.add_argument("--output", type=Path, help="folder that keeps pages and runs")
    return parser.parse_args(arguments)


def pages_command(options: argparse.Namespace, size: Size, folder: Path) -> list[str]:
    """What writes the requests of one size."""
    sizes = ["--model", options.model, "--tokens", str(size.tokens), "--pages", str(size.pages)]
    return [sys.executable, str(PAGES), str(_named(folder, "pages", size)), *sizes, "--requests", str(options.requests)]


def bench_options(options: argparse.Namespace, size: Size) -> list[str]:
    """What ``vlcache bench`` is told, apart from files."""
    warmup = size.pages + 1 if options.warmup is None else options.warmup
    return [
        *("--model", options.model, "--device", options.device, "--dtype", options.dtype),
        *("--samples", str(size.pages + options.requests), "--warmup", str(warmup), "--max-new-tokens", "1"),
        *("--device-budget", options.device_budget, "--host-budget", options.host_budget, "--no-media"),
        *(part for runner in RUNNERS for part in ("--runner", runner)),
    ]


def measure(options: argparse.Namespace, size: Size, folder: Path) -> Run | None:
    """Run the benchmark of one size; None where there is no result, and the reason is on stderr."""
    output, requests = _named(folder, "run", size), _named(folder, "pages", size) / "requests.jsonl"
    files = ["--workload", str(requests), "--output", str(output), "--json"]
    command = [sys.executable, "-m", "vlcache_cli", "bench", *bench_options(options, size), *files]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode not in (ALL_OK, SOME_FAILED):
        return None
    document = json.loads(done.stdout)
    return Run(document["manifest"], document["summary"], list(RunFolder(output).read().records.values()))


def facts(manifest: Mapping[str, Any]) -> str:
    """What was measured on what, as a Markdown list."""
    model, environment = manifest["model"], manifest["environment"]
    versions = ", ".join(f"{name} {found}" for name, found in environment["libraries"].items() if found)
    cuda = f", CUDA {model['cuda']}" if "cuda" in model else ""
    lines = [
        f"device: {model['device_name']} ({model['device']}), {model['threads']} threads of the host{cuda}",
        f"versions: Python {environment['python']}, {versions}",
        f"model: {model['name']} in {model['dtype']}, attention by `{model['attention']}`",
        *(f"{name}: {_told(model[name])}" for name in ("fused", "graphs") if name in model),
    ]
    caveat = [CAVEAT] if model["random_weights"] else []
    return "\n".join(f"- {line}" for line in [*lines, *caveat])


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
    overview = _markdown(main_heads, (_overview(run, row) for row in run.rows))
    return f"{reached}\n\n{overview}\n\n{_markdown(part_heads, (_parts(run, row) for row in run.rows))}"


def shortcomings(run: Run, size: Size) -> list[str]:
    """Where a run is not what was asked for, a sentence each."""
    found = []
    for row in run.rows:
        if row["failed"]:
            errors = [record.error for record in run.records if record.runner == row["runner"] and record.error]
            found.append(f"{row['runner']}: {row['failed']} requests failed, the first: {errors[0]}")
    caches = [record.cache for row in run.rows for record in run.warm(row["runner"]) if record.cache is not None]
    tokens = sorted({cache.vision_tokens for cache in caches})
    if tokens != [size.pages * size.tokens]:
        found.append(f"{size.pages * size.tokens:,} vision tokens were asked for, and measured were {tokens}")
    if fallbacks := sum(len(cache.fallbacks) for cache in caches):
        found.append(f"{fallbacks} times something was computed that should have been held: give larger budgets")
    return found


def _overview(run: Run, row: Row) -> list[str]:
    timings = [record.timing for record in run.warm(row["runner"]) if record.timing is not None]
    on_host = [timing.host_ttft_ms for timing in timings if timing.host_ttft_ms is not None]
    computed, peak = row["recompute_ratio"], row["peak_memory_mb"]
    return [
        f"`{row['runner']}`",
        str(len(timings)),
        _number(_median(timing.ttft_ms for timing in timings), ".1f"),
        _number(_median(on_host), ".1f"),
        _number(row["ttft_speedup"], ".2f"),
        _number(row["ttft_host_speedup"], ".2f"),
        _number(row["ttft_speedup_vs_lossless"], ".2f"),
        _number(None if computed is None else 100 * computed, ".1f"),
        _number(row["floor_ratio"], ".2f"),
        _number(peak, ",.0f"),
    ]


def _parts(run: Run, row: Row) -> list[str]:
    timings = [record.timing for record in run.warm(row["runner"]) if record.timing is not None]
    parts = (_median(_part(timing, part) for timing in timings) for part in PARTS)
    recording = sum(timing.capture_ms for timing in timings)
    return [f"`{row['runner']}`", *(_number(part, ".1f") for part in parts), _number(recording, ".0f")]


def _part(timing: Timing, part: str) -> float:
    milliseconds: float = getattr(timing, f"{part}_ms")
    return milliseconds


def _named(folder: Path, what: str, size: Size) -> Path:
    return folder / f"{what}-{size.pages}x{size.tokens}"


def _median(values: Iterable[float]) -> float | None:
    known = list(values)
    return median(known) if known else None


def _number(value: float | None, spec: str) -> str:
    return "-" if value is None else format(value, spec)


def _told(value: Any) -> str:
    return ", ".join(map(str, value)) or "nothing" if isinstance(value, list) else str(value)


def _markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


if __name__ == "__main__":
    sys.exit(main())
