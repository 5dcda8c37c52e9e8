"""How fast entries come from disk and from the host, beside a plain read and a plain copy of the same bytes."""

from __future__ import annotations

import mmap
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from runners.engine.kv.fetch import Fetcher, to_host
from runners.engine.shapes import MediaGrid
from runners.engine.store.disk.codec import EntrySizes
from runners.engine.store.disk.file import About, digest_of, read_description
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

Use = Callable[[int, torch.Tensor, torch.Tensor], object]


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
    assert entry.donor is not None
    pair, fetcher = (to_host(entry.donor.k), to_host(entry.donor.v)), Fetcher(torch.device("cpu"))
    for cached in (False, True):
        yield _beside(
            f"disk tier, page cache {'warm' if cached else 'dropped'}, entries of {entry.nbytes >> 20} MiB",
            lambda key: _read(tier, fetcher, key),
            lambda key: _plain_read(store.folder.path / tier.scope / f"{key.replace('/', '-')}.safetensors"),
            keys,
            entry.nbytes,
            before=None if cached else lambda key: _drop(tier, key),
        )
    room = torch.empty((LAYERS, 2, *pair[0].shape[1:]), dtype=torch.bfloat16)

    def place(layer: int, k: torch.Tensor, v: torch.Tensor) -> None:
        room[layer, 0], room[layer, 1] = k, v

    for cached in (False, True):
        yield _beside(
            f"read, checked and put in place, page cache {'warm' if cached else 'dropped'}, beside a mapped file",
            lambda key: _read(tier, fetcher, key, place),
            lambda key: _mapped(store.folder.path / tier.scope / f"{key.replace('/', '-')}.safetensors", room),
            keys,
            entry.nbytes,
            before=None if cached else lambda key: _drop(tier, key),
        )
    for work in (0.1, 0.5):
        yield _overlap(tier, fetcher, keys, work)
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


def _read(tier: DiskTier, fetcher: Fetcher, key: str, use: Use = lambda layer, k, v: None) -> MediaEntry:
    """Read an entry as a request does, and use every layer once it has arrived."""
    entry = tier.read(key)
    assert isinstance(entry, MediaEntry)
    assert entry.donor is not None
    fetched = None if entry.unread is None else fetcher.read([(entry.donor.k, entry.donor.v)], [entry.unread])
    for layer in range(LAYERS):
        if fetched is not None:
            fetched.wait(layer)
        use(layer, entry.donor.k[layer], entry.donor.v[layer])
    fetcher.stop()
    tier.release()
    return entry


def _mapped(path: Path, room: torch.Tensor) -> torch.Tensor:
    """Map a file, check every layer with its checksum, and copy it into ``room``, ``(layers, 2, ...)``."""
    with path.open("rb") as stream:
        description = read_description(stream)
        tensor, length = description.tensors[-1], os.fstat(stream.fileno()).st_size
        mapped = mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ)
    mapped.madvise(mmap.MADV_SEQUENTIAL)
    mapped.madvise(mmap.MADV_WILLNEED)
    numbers = np.frombuffer(mapped, np.uint8, tensor.nbytes, length - tensor.nbytes)
    for layer, target in enumerate(room):
        part = numbers[layer * tensor.part_bytes : (layer + 1) * tensor.part_bytes]
        tensor.require(layer, digest_of(part.data))
        np.copyto(target.view(torch.uint8).numpy().reshape(-1), part)
    return room


def _overlap(tier: DiskTier, fetcher: Fetcher, keys: list[str], work: float) -> str:
    """Time loading and computing, entries read layer by layer and whole before; ``work`` is computing over loading."""
    a, b = torch.randn(32, 256), torch.randn(256, 256)

    def timed(key: str, whole: bool, seconds: float) -> float:
        def use(layer: int, k: torch.Tensor, v: torch.Tensor) -> None:
            until = time.perf_counter() + seconds
            while time.perf_counter() < until:
                torch.mm(a, b)

        _drop(tier, key)
        tier.whole = whole
        start = time.perf_counter()
        _read(tier, fetcher, key, use)
        return time.perf_counter() - start

    loading = statistics.median(timed(key, True, 0.0) for key in keys * 3)
    seconds = loading * work / LAYERS
    pairs = [(timed(key, False, seconds), timed(key, True, seconds)) for _ in range(ROUNDS) for key in keys]
    ratio = statistics.median(layers / whole for layers, whole in pairs)
    tier.whole = False
    return f"loading {loading * 1e3:.0f} ms, computing {work:g} of it: layer by layer takes {ratio:.2f} of whole before"


def _drop(tier: DiskTier, key: str) -> None:
    stream = tier.open(key)
    assert stream is not None
    with stream:
        drop_cached(stream)
