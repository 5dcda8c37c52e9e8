"""TTFT with everything from disk: layer by layer beside whole before anything is computed, and beside in place."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from runners.base import Request
from runners.defaults import RunnerDefaults
from runners.engine.kv import fetch
from runners.engine.store.disk.folder import drop_cached
from runners.engine.store.disk.settings import DiskSettings
from runners.engine.store.disk.store import DiskStore
from runners.local import LocalRunner, build_runner
from runners.models.load import LoadedModel
from runners.registry import parse_specs
from workloads.records import Media

SPECS = ("prefix-cache", "full-reuse@donor=template", "vlcache@donor=template")
PLENTY = 1 << 34
WAYS = {"whole before": 0, "in turn": PLENTY, "in threads": 0, "as shipped": fetch.FEW_BYTES}
"""Ways to read, with the bytes up to which no threads are used."""


def measure_ttft(
    model: LoadedModel, path: Path, requests: Sequence[Request], rounds: int, rng: np.random.Generator
) -> Iterator[str]:
    """Take requests, and one with all their media, to the first token in every way, in a random order; a line for each.

    The page cache is dropped before every answer from disk.
    """
    for what, asked in (("a few media", list(requests)), ("many media", [together(requests)])):
        full = _runner(model, "full", None, 0)
        computed = [min(_ttft(full, request) for _ in range(2)) for request in asked]
        for spec in SPECS:
            place = path / f"{spec}-{len(asked)}"
            in_place, from_disk = _runner(model, spec, None, PLENTY), _runner(model, spec, place, 0)
            for runner in (in_place, from_disk):
                for request in asked:
                    runner.answer(request)
            times: dict[str, list[float]] = {way: [] for way in ("in place", *WAYS)}
            for _ in range(rounds):
                for request in asked:
                    for way in rng.permutation(list(times)):
                        times[way].append(_timed(in_place, from_disk, place, way, request))
            nbytes = sum(file.stat().st_size for file in place.glob("*/*.safetensors")) / 1e6
            full_ms = statistics.median(computed * rounds)
            medians = {way: statistics.median(found) for way, found in times.items()}
            yield (
                f"TTFT, {what}, {spec}, {nbytes:.0f} MB stored: "
                + ", ".join(f"{way} {median:.1f} ms" for way, median in medians.items())
                + "; of whole before: "
                + ", ".join(f"{way} {_ratio(times[way], times['whole before']):.2f}" for way in list(WAYS)[1:])
                + f"; as shipped {_ratio(times['as shipped'], times['in place']):.2f} of in place, "
                + f"ttft_disk_speedup {full_ms / medians['as shipped']:.2f}, "
                + f"whole before {full_ms / medians['whole before']:.2f}"
            )


def together(requests: Sequence[Request]) -> Request:
    """A request with the media of all."""
    first = requests[0]
    media = [part for request in requests for part in request.messages[-1].content if isinstance(part, Media)]
    return replace(first, id="together", messages=(replace(first.messages[-1], content=("See: ", *media, "What?")),))


def _runner(model: LoadedModel, spec: str, path: Path | None, memory: int) -> LocalRunner:
    (parsed,) = parse_specs([spec], RunnerDefaults(budget_bytes=memory))
    disk = None if path is None else DiskStore(DiskSettings(path, PLENTY), print)
    runner = build_runner(parsed, model, disk=disk)
    runner._engine._stores.on_disk = lambda media, match: None  # type: ignore[method-assign] # nothing is timed twice
    return runner


def _timed(in_place: LocalRunner, from_disk: LocalRunner, path: Path, way: str, request: Request) -> float:
    if way == "in place":
        return _ttft(in_place, request)
    disk = from_disk._engine._stores.disk
    assert disk is not None
    disk.whole, fetch.FEW_BYTES = way == "whole before", WAYS[way]
    for file in path.glob("*/*.safetensors"):
        with file.open("rb") as stream:
            drop_cached(stream)
    return _ttft(from_disk, request)


def _ttft(runner: LocalRunner, request: Request) -> float:
    timing = runner.answer(request).timing
    assert timing is not None
    return timing.ttft_ms


def _ratio(times: Sequence[float], others: Sequence[float]) -> float:
    return statistics.median(one / other for one, other in zip(times, others, strict=True))
