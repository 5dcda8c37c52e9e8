"""What the disk tier survives: killed writers, damaged files, two processes at once; and how fast it is.

    OMP_NUM_THREADS=1 python docs/benchmarks/store_chaos.py [--kills N] [--benches N] [--mutations N] [--seconds N]
        [--rates MIB] [--rounds N] [--requests N] [--seed N] [--output FOLDER]

Every part is left out with 0. Processes are forked from one that has loaded the embedded model. The laws that
answers are held to are those of ``store_laws``, the damages those of ``store_damage``. Exit code 1 when one was broken.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import torch
from store_bench_kills import kill_benches
from store_damage import WAYS
from store_laws import EXACT, LOSSY, Laws, bad_files, read_both_ways, size_of
from store_rates import measure_rates
from store_ttft import measure_ttft

from runners.base import Request
from runners.models.load import load_model, resolve_model
from workloads.base import StreamOptions
from workloads.synthetic.binding import Binding

SPECS = (*EXACT, *LOSSY)
MIB = 1 << 20
BUDGET = 18 * MIB  # less than all entries take, so that there is always something to evict and to write


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts that are asked for, and print a line for each; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default, about in (
        ("kills", 200, "writers to kill"),
        ("benches", 30, "command lines to kill"),
        ("mutations", 1000, "files to damage"),
        ("seconds", 60, "how long two processes use one store, each of two times"),
        ("rates", 256, "MiB of entries to time reading"),
        ("rounds", 5, "times to take every request to its first token in every way"),
        ("requests", 3, "requests of the stream"),
        ("seed", 0, "of all that is drawn"),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{about} (default {default})")
    parser.add_argument("--output", type=Path, help="folder to work in; the default is a temporary one")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        return run(options, options.output or Path(temporary))


def run(options: argparse.Namespace, place: Path) -> int:
    """Run all parts in a folder."""
    model = load_model("builtin", resolve_model("builtin"), device="cpu")
    laws = Laws(model, requests_of(options.requests, options.seed), options.seed)
    rng = np.random.default_rng(options.seed)
    say(f"torch {torch.__version__}, {len(laws.requests)} requests, runners {', '.join(SPECS)}")
    if options.kills:
        kill_writers(laws, place / "kills", options.kills, rng)
    if options.benches:
        for line in kill_benches(laws, place / "benches", options.benches, BUDGET, SPECS, rng):
            say(line)
    if options.mutations:
        damage_files(laws, place / "mutations", options.mutations, rng)
    if options.seconds:
        share(laws, place / "shared", options.seconds, None)
        share(laws, place / "shared-and-killed", options.seconds, 5.0)
    if options.rates:
        for line in measure_rates(model, place / "rates", options.rates * MIB):
            say(line)
    if options.rounds:
        for line in measure_ttft(model, place / "ttft", laws.requests, options.rounds, rng):
            say(line)
    for line in laws.broken[:20]:
        say(f"BROKEN {line}")
    return 1 if laws.broken else 0


def requests_of(number: int, seed: int) -> list[Request]:
    """Requests about pictures that come back."""
    options = StreamOptions(samples=number, seed=seed, reuse_rate=0.5)
    return [
        Request(conversation.turns[0].id, conversation.prompt(0), max_new_tokens=8)
        for conversation in Binding().conversations(options)
    ]


def say(text: str) -> None:
    """Print a line with the time."""
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", flush=True)


def fork(work: Callable[[], None]) -> int:
    """Run something in a process of its own; its id. Exit code 3 when it raised."""
    process = os.fork()
    if process:
        return process
    try:
        work()
        os._exit(0)
    except BaseException as error:
        print(f"child: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(3)


def serve_for_ever(laws: Laws, path: Path, budget: int, seed: int, until: float = float("inf")) -> None:
    """Answer requests in a random order over one store, memory forgotten every now and then; all are checked."""
    rng = np.random.default_rng(seed)
    runners = {spec: laws.runner(spec, path, budget) for spec in SPECS}
    while time.time() < until:
        spec = SPECS[int(rng.integers(len(SPECS)))]
        laws.check(spec, runners[spec], laws.requests[int(rng.integers(len(laws.requests)))])
        if rng.random() < 0.3:
            runners[spec].reset()
        if laws.broken:
            raise AssertionError(laws.broken[0])


def kill_writers(laws: Laws, path: Path, kills: int, rng: np.random.Generator) -> None:
    """Kill a process that writes at a random moment, again and again; check the store and all answers over it."""
    budget = BUDGET
    bad: list[str] = []
    most_bytes = most_left = checked = 0
    for number in range(kills):
        process = fork(partial(serve_for_ever, laws, path, budget, int(rng.integers(1 << 31))))
        time.sleep(float(rng.uniform(0.1, 2.0)))
        os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        if not os.WIFSIGNALED(status):
            laws.broken.append(f"a writer ended by itself with {status}")
        if path.exists():
            bad += bad_files(path)
            most_bytes = max(most_bytes, size_of(path))
            most_left = max(most_left, len([*path.glob("*/.*.tmp")]))
        before = laws.checked
        for spec in SPECS:
            request = laws.requests[int(rng.integers(len(laws.requests)))]
            laws.check(spec, laws.runner(spec, path, budget), request)
        checked += laws.checked - before
        if number % 20 == 19:
            say(f"{number + 1} kills, {len(bad)} bad files, {len(laws.broken)} laws broken")
    laws.broken += bad
    left = len([*path.glob("*/.*.tmp")])
    say(
        f"kills: {kills} writers killed; {len(bad)} bad files, {checked} answers checked, {len(laws.broken)} wrong; "
        f"at most {most_bytes / MIB:.1f} MiB of a budget of {budget / MIB:.0f} and {most_left} temporary files, "
        f"{left} at the end"
    )


def damage_files(laws: Laws, path: Path, mutations: int, rng: np.random.Generator) -> None:
    """Damage a file of a filled store; answers must be those over the same store without that file."""
    whole = path / "whole"
    for spec in SPECS:
        runner = laws.runner(spec, whole)
        for request in laws.requests:
            runner.answer(request)
    files = sorted(file.relative_to(whole) for file in whole.glob("*/*.safetensors"))
    spec_of = {scope: spec for spec in SPECS for scope in [laws.runner(spec, whole)._engine._stores.disk.scope]}  # type: ignore[union-attr]
    without: dict[Path, list[tuple[int, ...]]] = {}
    missed = different = 0
    drawn: Counter[str] = Counter()
    for number in range(mutations):
        name, way = files[int(rng.integers(len(files)))], WAYS[number % len(WAYS)]
        spec = spec_of[name.parts[0]]
        if name not in without:
            damaged = fresh(whole, path / "damaged", name.parts[0])
            (damaged / name).unlink()
            without[name] = answers(laws, spec, damaged)[0]
        damaged = fresh(whole, path / "damaged", name.parts[0])
        way(damaged / name, rng)
        read_both_ways(number)
        found, bad = answers(laws, spec, damaged)
        drawn[way.__name__] += 1
        missed += bad == 0
        if found != without[name]:
            different += 1
            laws.broken.append(f"{way.__name__} of {name}: other answers than without it")
        if number % 100 == 99:
            say(f"{number + 1} mutations, {different} with other answers, {missed} not met")
    say(
        f"mutations: {mutations} of {len(files)} files, {len(drawn)} kinds; {different} with other answers than "
        f"without the file, 0 crashes, {mutations - missed} found and dropped, {missed} never asked for"
    )


def answers(laws: Laws, spec: str, path: Path) -> tuple[list[tuple[int, ...]], int]:
    """All answers of a new process over a store, and how many files it found bad.

    Of lossy runners every request is asked with other first words, too: then no prefix covers its media.
    """
    runner = laws.runner(spec, path)
    requests = [*(map(moved, laws.requests) if spec in LOSSY else ()), *laws.requests]
    found = [runner.answer(request).token_ids for request in requests]
    disk = runner._engine._stores.disk
    assert disk is not None
    return found, disk.store.counts.bad


def moved(request: Request) -> Request:
    """The same request with words before it."""
    first, *others = request.messages
    return replace(request, messages=(replace(first, content=("Now: ", *first.content)), *others))


def fresh(whole: Path, path: Path, scope: str) -> Path:
    """Copy a store; the files of other scopes than the one named are not written to, and linked."""
    shutil.rmtree(path, ignore_errors=True)
    for folder in whole.iterdir():
        copy = shutil.copy if folder.name == scope else os.link
        shutil.copytree(folder, path / folder.name, copy_function=copy)
    return path


def share(laws: Laws, path: Path, seconds: float, kill_every: float | None) -> None:
    """Let two processes use one store, one of them killed and started again every so many seconds."""
    budget, seeds = BUDGET, count(1)
    until = time.time() + seconds

    def start() -> int:
        return fork(partial(serve_for_ever, laws, path, budget, next(seeds), until))

    steady, other, killed = start(), start(), 0
    while kill_every is not None and time.time() + kill_every < until:
        time.sleep(kill_every)
        os.kill(other, signal.SIGKILL)
        os.waitpid(other, 0)
        other, killed = start(), killed + 1
    for process in (steady, other):
        if os.waitpid(process, 0)[1]:
            laws.broken.append("a process that shared the store failed")
    bad = bad_files(path)
    laws.broken += bad
    for spec in SPECS:
        runner = laws.runner(spec, path, budget)
        for request in laws.requests:
            laws.check(spec, runner, request)
    what = "two processes" if kill_every is None else f"two processes, one of them killed {killed} times"
    say(
        f"shared: {what} for {seconds:g} s; {len(bad)} bad files, {len(laws.broken)} laws broken, "
        f"{size_of(path) / MIB:.1f} MiB of a budget of {budget / MIB:.0f}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
