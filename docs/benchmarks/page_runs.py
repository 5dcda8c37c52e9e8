"""Runs of `vlcache bench` on pages of several sizes: one process for all of them, begun or continued, and read again.

Pages of so many vision tokens each come alone, then all together in as many requests as asked for, each under other
text and in another order: a prefix miss. A run that is stopped keeps every answer, and goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pages

from reports.run.measurements import Measurements
from reports.run.store import RunFolder
from reports.statistics.levels import DEFAULT_ALPHA, DEFAULT_MARGIN
from reports.summary.summarise import summarise
from runners.models.choices import DEVICES, DTYPES
from runners.records import Record, Timing, Warmth

ALL_OK, SOME_FAILED = 0, 4  # exit codes of vlcache bench
ROOT = Path(__file__).parents[2]
RUN = "run"  # folder in the one with the pages
UNFINISHED = 75  # exit code of a script that was stopped and can go on (EX_TEMPFAIL)
GRACE_S = 5.0  # for a benchmark that is stopped to end by itself
NOT_REUSED = "computed that should have been held: give larger budgets"

Row = Mapping[str, Any]
"""A row of the summary by the names of its columns."""


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

    @property
    def file(self) -> str:
        """Name of the file with its requests, which is what the run calls its workload."""
        return f"{self.pages}x{self.tokens}.jsonl"

    def __str__(self) -> str:
        return f"{self.pages} page{'s' * (self.pages > 1)} of {self.tokens:,} vision tokens"


@dataclass(frozen=True)
class Run:
    """What a benchmark gave for one size: rows and records in the order of the runners."""

    manifest: Mapping[str, Any]
    rows: Sequence[Row]
    records: Sequence[Record]

    def warm(self, runner: str) -> list[Record]:
        """A runner's records of requests all of whose pages were sent before; only those that have times."""
        records = [record for record in self.records if record.runner == runner and record.timing is not None]
        return [record for record in records if record.warmth is Warmth.WARM]


def add_options(parser: argparse.ArgumentParser, model: str, sizes: Sequence[str], requests: int) -> None:
    """Add the options of a run to a script's command line."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model", default=model)
    which.add_argument("--shape", dest="model", type="shape:{}".format, help="NAME for --model shape:NAME")
    parser.add_argument("--size", type=Size.parse, action="append", metavar="PAGESxTOKENS", help=" ".join(sizes))
    parser.add_argument("--requests", type=int, default=requests, help="warm ones; up to 10 have texts of one length")
    parser.add_argument("--warmup", type=int, help="so that every runner has met a warm request: pages + 1")
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--dtype", choices=DTYPES, default="auto", help="auto: bfloat16 for shapes")
    parser.add_argument("--device-budget", default="8GiB")
    parser.add_argument("--host-budget", default="8GiB")
    parser.add_argument("--output", type=Path, help="folder that keeps pages and run; a run in it is continued")
    parser.add_argument("--seconds", type=float, help="stop the run after so long, and show what there is")


def write_pages(options: argparse.Namespace, sizes: Sequence[Size], folder: Path) -> bool:
    """Write the requests of every size that the folder lacks; whether they could be made."""
    missing = [size for size in sizes if not _requests(folder, size).is_file()]
    return all(pages.main(pages_arguments(options, size, folder)) == 0 for size in missing)


def pages_arguments(options: argparse.Namespace, size: Size, folder: Path) -> list[str]:
    """What ``pages.py`` is told for the requests of one size."""
    sizes = ["--model", options.model, "--tokens", str(size.tokens), "--pages", str(size.pages), "--file", size.file]
    return [str(_requests(folder, size).parent), *sizes, "--requests", str(options.requests)]


def bench_options(options: argparse.Namespace, sizes: Sequence[Size], arms: Sequence[str]) -> list[str]:
    """What ``vlcache bench`` is told, apart from files; ``arms`` tell which runners."""
    most = max(size.pages for size in sizes)
    warmup = most + 1 if options.warmup is None else options.warmup
    return [
        *("--model", options.model, "--device", options.device, "--dtype", options.dtype),
        *("--samples", str(most + options.requests), "--warmup", str(warmup), "--max-new-tokens", "1"),
        *("--device-budget", options.device_budget, "--host-budget", options.host_budget, "--no-media"),
        *arms,
    ]


def measure(options: argparse.Namespace, sizes: Sequence[Size], arms: Sequence[str], folder: Path) -> int:
    """Run the benchmark of all sizes, or continue it: its exit code, or ``UNFINISHED``; why it failed is on stderr."""
    workloads = [part for size in sizes for part in ("--workload", str(_requests(Path(), size)))]
    is_begun = (folder / RUN / "manifest.json").is_file()
    files = [*workloads, "--output", RUN, "--json", *(["--resume"] if is_begun else [])]
    command = [sys.executable, "-m", "vlcache_cli", "bench", *bench_options(options, sizes, arms), *files]
    return run_for(command, options.seconds, folder)


def run_for(command: Sequence[str], seconds: float | None, folder: Path) -> int:
    """Run a command in a folder, so that this may be moved, for so long at most: its exit code, or ``UNFINISHED``."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    with subprocess.Popen(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.DEVNULL
    ) as process:
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.terminate()
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
    return UNFINISHED


def read_runs(sizes: Sequence[Size], folder: Path) -> dict[Size, Run]:
    """What there is of each size, as far as it was measured; a size without any answer is missing."""
    path = folder / RUN
    if not (path / "manifest.json").is_file():
        return {}
    saved = RunFolder(path).read()
    records = list(saved.records.values())
    rows = [asdict(row) for row in summarise(Measurements(saved.manifest, records), DEFAULT_MARGIN, DEFAULT_ALPHA)]
    runs = {
        size: Run(
            saved.manifest.document,
            [row for row in rows if row["workload"] == size.file],
            [record for record in records if record.workload == size.file],
        )
        for size in sizes
    }
    return {size: run for size, run in runs.items() if run.rows}


def shortcomings(run: Run, size: Size, requests: int) -> list[str]:
    """Where a run is not what was asked for, a sentence each."""
    found = []
    for row in run.rows:
        if row["failed"]:
            errors = [record.error for record in run.records if record.runner == row["runner"] and record.error]
            found.append(f"{row['runner']}: {row['failed']} requests failed, the first: {errors[0]}")
    asked = len(run.manifest["runners"]) * (size.pages + requests)
    if len(run.records) < asked:
        found.append(f"stopped after {len(run.records)} of {asked} answers")
    caches = [record.cache for row in run.rows for record in run.warm(row["runner"]) if record.cache is not None]
    tokens = sorted({cache.vision_tokens for cache in caches})
    if tokens != [size.pages * size.tokens]:
        found.append(f"{size.pages * size.tokens:,} vision tokens were asked for, and measured were {tokens}")
    if fallbacks := sum(len(cache.fallbacks) for cache in caches):
        found.append(f"{fallbacks} times something was {NOT_REUSED}")
    return found


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
    caveat = ["The weights are random: nothing here says how right the answers are."] if model["random_weights"] else []
    return "\n".join(f"- {line}" for line in [*lines, *caveat])


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [heads, ["---"] * len(heads), *rows])


def number(value: float | None, spec: str) -> str:
    """A cell of a table; ``-`` for what is not known."""
    return "-" if value is None else format(value, spec)


def _requests(folder: Path, size: Size) -> Path:
    return folder / f"pages-{size.pages}x{size.tokens}" / size.file


def _told(value: Any) -> str:
    return ", ".join(map(str, value)) or "nothing" if isinstance(value, list) else str(value)


def part_ms(timing: Timing, part: str) -> float:
    """Milliseconds of a part of TTFT."""
    milliseconds: float = getattr(timing, f"{part}_ms")
    return milliseconds


def median_of(values: Iterable[float]) -> float | None:
    """Median; None of nothing."""
    known = list(values)
    return median(known) if known else None
