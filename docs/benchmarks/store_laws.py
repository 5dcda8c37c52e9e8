"""The laws of the disk tier, for ``store_chaos.py`` and the tests: what is served is what was stored, or nothing.

Runners without a disk tier say what is right. ``encoder-cache`` and ``prefix-cache`` must answer as ``full`` does. Of a
lossy method, the entries that it was given for a request are given to a second runner of the same method from memory:
both must answer alike, to the last bit of the first token's logits. And encoder output, and donors that depend on
nothing but their medium, must equal those that a runner without a disk tier computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runners.base import Request, Response
from runners.defaults import RunnerDefaults
from runners.engine.kv import fetch
from runners.engine.store.disk.file import BadEntry, check_tensors, read_description
from runners.engine.store.disk.folder import StoreFolder
from runners.engine.store.disk.settings import DiskSettings
from runners.engine.store.disk.store import DiskStore
from runners.engine.store.entries import MediaEntry
from runners.engine.store.prefix_store import Match
from runners.engine.store.stores import Lookup
from runners.local import LocalRunner, build_runner
from runners.models.load import LoadedModel
from runners.records import Status
from runners.registry import parse_specs

EXACT = ("encoder-cache", "prefix-cache")
LOSSY = ("full-reuse@donor=template", "vlcache@donor=template")
MEMORY = 1 << 28


@dataclass
class Given:
    """A look-up that keeps what it found for a request; see ``Lookup``."""

    stores: Lookup
    media: dict[str, MediaEntry] = field(default_factory=dict)
    match: Match = field(default_factory=Match)

    def expect(self, keys: Sequence[str]) -> None:
        """See ``Lookup``."""
        self.stores.expect(keys)

    def medium(self, key: str) -> MediaEntry | None:
        """See ``Lookup``."""
        entry = self.stores.medium(key)
        self.media.pop(key, None)  # what was found before the request started again
        if entry is not None:
            self.media[key] = entry
        return entry

    def prefix(self, symbols: NDArray[np.int64]) -> Match:
        """See ``Lookup``."""
        self.match = self.stores.prefix(symbols)
        return self.match


@dataclass(frozen=True)
class FromMemory:
    """A look-up that gives what another one found, as if it lay in memory; see ``Lookup``."""

    given: Given

    def expect(self, keys: Sequence[str]) -> None:
        """See ``Lookup``."""

    def medium(self, key: str) -> MediaEntry | None:
        """See ``Lookup``."""
        entry = self.given.media.get(key)
        return None if entry is None else replace(entry.complete() or entry, on_host=False, on_disk=False)

    def prefix(self, symbols: NDArray[np.int64]) -> Match:
        """See ``Lookup``."""
        entry = self.given.match.entry
        if entry is None:
            return self.given.match
        return replace(self.given.match, entry=replace(entry.complete() or entry, on_host=False))


class Laws:
    """What every answer over a store must be; ``broken`` lists the answers that were not.

    Args:
        requests: that are asked, each an answer to which is known from a runner without a store.
        seed: that they were drawn with.
    """

    def __init__(self, model: LoadedModel, requests: Sequence[Request], seed: int = 0) -> None:
        self.model, self.requests, self.seed = model, list(requests), seed
        self.broken: list[str] = []
        self.checked = 0
        self._beside = {spec: self.runner(spec) for spec in LOSSY}
        full = self.runner("full")
        self._right = {request.id: full.answer(request).token_ids for request in self.requests}
        self._known: dict[str, MediaEntry] = {}
        alone = self.runner(LOSSY[0])
        for request in self.requests:
            found = alone._engine._lookup = Given(_lookup(alone))
            alone.answer(request)
            alone.answer(request)
            self._known |= found.media

    def runner(self, spec: str, path: Path | None = None, budget: int = MEMORY, memory: int = MEMORY) -> LocalRunner:
        """Make a runner, with a disk tier where a path is given."""
        (parsed,) = parse_specs([spec], RunnerDefaults(budget_bytes=memory))
        disk = None if path is None else DiskStore(DiskSettings(path, budget), self._say)
        runner = build_runner(parsed, self.model, disk=disk)
        runner._engine._stores.on_disk = lambda media, match: None  # type: ignore[method-assign] # nothing is timed
        return runner

    def check(self, spec: str, runner: LocalRunner, request: Request) -> Response:
        """Ask a runner, and note where its answer is not as it must be."""
        engine = runner._engine
        read_both_ways(self.checked)
        given = engine._lookup = Given(_lookup(runner))
        response = runner.answer(request)
        self.checked += 1
        if response.status is not Status.OK:
            self.broken.append(f"{spec} {request.id}: {response.status}, {response.error}")
        elif spec in EXACT:
            if response.token_ids != self._right[request.id]:
                self.broken.append(f"{spec} {request.id}: {response.token_ids}, not {self._right[request.id]}")
        elif not self._same(response, self._beside[spec], given, request):
            self.broken.append(f"{spec} {request.id}: another answer than from memory")
        self.broken += [f"{spec} {request.id}: a medium as nobody computed it" for _ in self._strange(given)]
        return response

    def _say(self, text: str) -> None:
        self.broken.append(text)

    def _same(self, response: Response, beside: LocalRunner, given: Given, request: Request) -> bool:
        """Whether a runner that is given the same entries from memory answers the same."""
        beside._engine._lookup = FromMemory(given)
        expected = beside.answer(request)
        beside.reset()
        assert response.first_logits is not None
        assert expected.first_logits is not None
        alike = np.array_equal(response.first_logits, expected.first_logits)
        return alike and response.token_ids == expected.token_ids

    def _strange(self, given: Given) -> list[str]:
        """Content keys of media whose entries are not those that a runner without a disk tier makes."""
        return [key for key, entry in given.media.items() if key in self._known and not _equal(entry, self._known[key])]


def read_both_ways(number: int) -> None:
    """Let every other answer read ahead in threads, however few bytes it reads, and the others in turn."""
    fetch.FEW_BYTES = 0 if number % 2 else MEMORY


def _lookup(runner: LocalRunner) -> Lookup:
    """The runner's own look-up, whatever was put around it."""
    lookup = runner._engine._lookup
    return lookup.stores if isinstance(lookup, Given) else lookup


def _equal(entry: MediaEntry, known: MediaEntry) -> bool:
    if entry.grid != known.grid or not _close(entry.features, known.features):
        return False
    if entry.complete() is None:  # its keys and values were covered by a prefix, and not read
        return True
    if entry.donor is None or known.donor is None:
        return True
    return _close(entry.donor.k, known.donor.k) and _close(entry.donor.v, known.donor.v)


def _close(one: Tensor, other: Tensor) -> bool:
    """Whether numbers are equal but for the rounding of other batches."""
    return one.shape == other.shape and torch.allclose(one, other, atol=1e-3, rtol=1e-3)


def bad_files(path: Path) -> list[str]:
    """Check every file of a store, byte by byte; says what is wrong with which."""
    folder, wrong = StoreFolder(path), []
    for file in folder.files():
        try:
            with folder.open(file.scope, file.name) as stream:
                check_tensors(stream, read_description(stream).tensors)
        except FileNotFoundError:
            continue  # evicted in between
        except BadEntry as error:
            wrong.append(f"{file.scope}/{file.name}: {error}")
    return wrong


def size_of(path: Path) -> int:
    """Bytes of all files of a store, temporary ones included."""
    total = 0
    for file in path.glob("*/*"):
        try:
            total += file.lstat().st_size
        except FileNotFoundError:
            continue
    return total
