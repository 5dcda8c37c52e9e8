"""How fast entries come from disk and from the host, beside a plain read and a plain copy of the same bytes."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch

from runners.engine.kv.fetch import Fetcher, to_host
from runners.engine.shapes import MediaGrid
from runners.engine.store.disk.codec import EntrySizes
from runners.engine.store.disk.file import About
from runners.engine.store.disk.folder import drop_cached
from runners.engine.store.disk.settings import DiskSettings
from runners.engine.store.disk.store import DiskStore
from runners.engine.store.disk.tier import DiskTier
from runners.engine.store.entries import DonorKV, MediaEntry
from runners.engine.store.symbols import SymbolTable
from runners.models.load import LoadedModel

LAYERS, KV_HEADS, HEAD_DIM, HIDDEN = 28, 8, 128, 2048
TOKENS = 550  # about 64 MiB in bfloat16
ROUNDS = 7
CHUNK = 1 << 21


def measure_rates(model: LoadedModel, path: Path, nbytes: int) -> Iterator[str]:
    """Time entries as of a model of 2 billion parameters in bfloat16; a line for every way."""
    sizes = EntrySizes(LAYERS, KV_HEADS, HEAD_DIM, torch.bfloat16, HIDDEN, 16, 0, 64, lambda grid: grid.height, TOKENS)
    store = DiskStore(DiskSettings(path, 1 << 40), lambda text: None)
    tier = DiskTier(store, "0" * 32, About("", "", "", 0.0), sizes, SymbolTable())
    entry = _entry()
    keys = [f"media/{number:064x}" for number in range(max(nbytes // entry.nbytes, 2))]
    for key in keys:
        tier.put(key, entry)
        store.drain()
    for cached in (False, True):
        yield _beside(
            f"disk tier, page cache {'warm' if cached else 'dropped'}, entries of {entry.nbytes >> 20} MiB",
            lambda key: tier.read(key),
            lambda key: _plain_read(store.folder.path / tier.scope / f"{key.replace('/', '-')}.safetensors"),
            keys,
            entry.nbytes,
            before=None if cached else lambda key: _drop(tier, key),
        )
    assert entry.donor is not None
    pair, fetcher = (to_host(entry.donor.k), to_host(entry.donor.v)), Fetcher(torch.device("cpu"))
    yield _beside(
        "host tier, layer by layer",
        lambda key: [fetched.wait(layer) for fetched in [fetcher.fetch([pair])] for layer in range(LAYERS)],
        lambda key: [torch.empty_like(tensor).copy_(tensor) for tensor in pair],
        keys,
        entry.donor.nbytes,
    )


def _entry() -> MediaEntry:
    generator = torch.Generator().manual_seed(0)
    k, v = (torch.randn(LAYERS, KV_HEADS, TOKENS, HEAD_DIM, generator=generator).to(torch.bfloat16) for _ in range(2))
    features = torch.randn(TOKENS, HIDDEN, generator=generator).to(torch.bfloat16)
    return replace(MediaEntry(MediaGrid("image", 1, TOKENS, 1), features), donor=DonorKV(k, v, 0, True))


def _beside(
    what: str,
    tier: Callable[[str], object],
    plain: Callable[[str], object],
    keys: list[str],
    nbytes: int,
    before: Callable[[str], None] | None = None,
) -> str:
    """Time two ways to have the same bytes in new memory, in turn, and each first every other time."""
    seconds: dict[str, list[float]] = {"tier": [], "plain": []}
    for number in range(ROUNDS * len(keys)):
        key = keys[number % len(keys)]
        ways = [("tier", tier), ("plain", plain)]
        for name, way in ways if number % 2 else reversed(ways):
            if before is not None:
                before(key)
            start = time.perf_counter()
            found = way(key)
            seconds[name].append(time.perf_counter() - start)
            assert found is not None
            del found
    rates = {name: nbytes / statistics.median(times) / 1e9 for name, times in seconds.items()}
    ratios = [plain / tier for tier, plain in zip(seconds["tier"], seconds["plain"], strict=True)]
    return (
        f"{what}: {rates['tier']:.2f} GB/s beside {rates['plain']:.2f} GB/s, "
        f"{statistics.median(ratios):.2f} of it (median of {len(ratios)} pairs)"
    )


def _plain_read(path: Path) -> torch.Tensor:
    """Read a file from its start to its end into new memory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        room = torch.empty(os.fstat(descriptor).st_size, dtype=torch.uint8)
        view, done = memoryview(room.numpy()), 0
        while count := os.readv(descriptor, [view[done : done + CHUNK]]):
            done += count
        return room
    finally:
        os.close(descriptor)


def _drop(tier: DiskTier, key: str) -> None:
    stream = tier.open(key)
    assert stream is not None
    with stream:
        drop_cached(stream)
