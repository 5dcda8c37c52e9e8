"""Kill the command line, ``vlcache bench --store-dir``, while it writes the disk tier; see ``store_chaos.py``."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from store_laws import Laws, bad_files, size_of

MIB = 1 << 20
START_SECONDS, MOST_SECONDS = 120.0, 6.0


def kill_benches(
    laws: Laws, path: Path, kills: int, budget: int, specs: Sequence[str], rng: np.random.Generator
) -> Iterator[str]:
    """Kill a bench at a random moment after its first write, again and again; a line every ten kills, and one at last.

    After every kill the store is checked byte by byte, and each runner is asked a request over it.
    """
    store, before, found = path / "store", laws.checked, 0
    bad: list[str] = []
    most_bytes = most_left = 0
    for number in range(kills):
        _kill(laws, path, budget, specs, rng)
        bad += bad_files(store)
        most_bytes = max(most_bytes, size_of(store))
        most_left = max(most_left, len([*store.glob("*/.*.tmp")]))
        for spec in specs:
            runner = laws.runner(spec, store, budget)
            laws.check(spec, runner, laws.requests[int(rng.integers(len(laws.requests)))])
            disk = runner._engine._stores.disk
            found += 0 if disk is None else disk.store.counts.read
        if number % 10 == 9:
            yield f"{number + 1} benches killed, {len(bad)} bad files, {len(laws.broken)} laws broken"
    laws.broken += bad
    yield (
        f"benches: {kills} command lines killed; {len(bad)} bad files, {laws.checked - before} answers checked "
        f"over {found} entries that were found, {len(laws.broken)} wrong; at most {most_bytes / MIB:.1f} MiB "
        f"of a budget of {budget / MIB:.0f} and {most_left} temporary files"
    )


def _kill(laws: Laws, path: Path, budget: int, specs: Sequence[str], rng: np.random.Generator) -> None:
    """Start a bench, and kill it some time after it has written to the store."""
    output = path / "run"
    shutil.rmtree(output, ignore_errors=True)
    command = [
        *(sys.executable, "-m", "vlcache_cli", "bench", "--workload", "binding", "--seed", str(laws.seed)),
        *("--samples", str(len(laws.requests)), "--reuse-rate", "0.5"),
        *(word for spec in ("full", *specs) for word in ("--runner", spec)),
        *("--store-dir", str(path / "store"), "--disk-budget", str(budget), "--output", str(output), "--no-adopt"),
    ]
    path.mkdir(parents=True, exist_ok=True)
    with (path / "bench.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    written, until = _written(path / "store"), time.monotonic() + START_SECONDS
    while _written(path / "store") == written and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(float(rng.uniform(0.0, MOST_SECONDS)))
    process.kill()
    if process.wait() != -signal.SIGKILL:
        said = (path / "bench.log").read_text()[-500:]
        raise AssertionError(f"a bench ended by itself with {process.returncode}: {said}")


def _written(path: Path) -> set[tuple[str, int]]:
    """The files of a store, temporary ones included, with the times of their last change."""
    found = set()
    for file in path.glob("*/*"):
        try:
            found.add((file.name, file.lstat().st_mtime_ns))
        except FileNotFoundError:
            continue
    return found
