"""Keys and values come from disk layer by layer: read ahead of the computing, checked before they are used."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch

from runners.base import Request, Response
from runners.defaults import RunnerDefaults
from runners.engine.errors import DamagedEntry
from runners.engine.kv import fetch
from runners.engine.kv.buffer import KVBuffer
from runners.engine.kv.fetch import Fetcher
from runners.engine.kv.read_ahead import Check, ReadAhead, Reading, ReadInTurn
from runners.engine.store.disk.file import read_description
from runners.engine.store.disk.layers import StoredLayers
from runners.engine.store.disk.settings import DiskSettings
from runners.engine.store.disk.store import DiskStore
from runners.engine.store.entries import MediaEntry
from runners.local import build_runner
from runners.records import Status
from runners.registry import parse_specs

PLENTY = 1 << 28
SECONDS = 60.0  # that a thread is waited for, where a law holds


@pytest.fixture(params=["in turn", "ahead"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to read, whatever the size."""
    monkeypatch.setattr(fetch, "FEW_BYTES", PLENTY if request.param == "in turn" else 0)
    return str(request.param)


class Scripted:
    """An entry whose layers say what is done to them, and of which some are damaged."""

    def __init__(self, name: str, done: list[str], unreadable: int = -1, damaged: int = -1) -> None:
        self.name, self.done, self.unreadable, self.damaged = name, done, unreadable, damaged
        self.complete = False

    def read(self, layer: int) -> Check:
        self.done.append(f"{self.name}{layer}")
        if layer == self.unreadable:
            raise DamagedEntry("unreadable", lambda: None)
        return lambda: self._check(layer)

    def _check(self, layer: int) -> None:
        if layer == self.damaged:
            raise DamagedEntry("damaged", lambda: None)


def reading(way: str, unread: Sequence[Any], layers: int, arrived: Callable[[int], None]) -> Reading:
    return ReadInTurn(unread, arrived) if way == "in turn" else ReadAhead(unread, layers, arrived)


def test_a_layer_of_all_entries_comes_before_the_next(way: str) -> None:
    done: list[str] = []
    arrived: list[int] = []
    found = reading(way, [Scripted("a", done), Scripted("b", done)], 3, arrived.append)
    found.wait(2)
    found.wait(0)
    found.stop()
    assert done == ["a0", "b0", "a1", "b1", "a2", "b2"]
    assert arrived == [0, 1, 2]


@pytest.mark.parametrize("how", ["unreadable", "damaged"])
def test_a_damaged_layer_is_told_to_whoever_waits_for_it_or_a_later_one(way: str, how: str) -> None:
    found = reading(way, [Scripted("a", []), Scripted("b", [], **{how: 1})], 4, lambda layer: None)
    found.wait(0)
    with pytest.raises(DamagedEntry, match=how):
        found.wait(2 if way == "ahead" else 1)
    found.stop()
    found.wait(0)


def test_a_layer_is_used_while_the_next_is_read() -> None:
    used = Event()

    class Slow(Scripted):
        def read(self, layer: int) -> Check:
            assert layer == 0 or used.wait(SECONDS)
            return super().read(layer)

    found = ReadAhead([Slow("a", [])], 2, lambda layer: None)
    found.wait(0)
    used.set()
    found.wait(1)
    found.stop()


def test_layers_are_read_ahead_of_those_that_are_waited_for() -> None:
    done: list[str] = []
    found = ReadAhead([Scripted("a", done)], 5, lambda layer: None)
    found.wait(4)
    assert len(done) == 5
    found.stop()


def test_a_reading_that_is_stopped_ends() -> None:
    going = Event()

    class Slow(Scripted):
        def read(self, layer: int) -> Check:
            assert going.wait(SECONDS)
            return super().read(layer)

    done: list[str] = []
    found = ReadAhead([Slow("a", done)], 100, lambda layer: found._fail(RuntimeError("stopped")))
    going.set()
    with pytest.raises(RuntimeError, match="stopped"):
        found.wait(99)
    found.stop()
    assert len(done) < 100
    assert not found._thread.is_alive()


def test_who_waits_is_told_where_no_thread_can_be_had_for_the_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("runners.engine.kv.read_ahead.ThreadPoolExecutor.submit", refuse)
    found = ReadAhead([Scripted("a", [])], 2, lambda layer: None)
    found._thread.join(SECONDS)
    assert found._failed is not None, "else who waits would wait for ever"
    with pytest.raises(RuntimeError, match="can't start new thread"):
        found.wait(0)
    found.stop()


def test_what_is_just_being_read_is_not_copied_on_a_cpu(way: str) -> None:
    """What lies in the host's memory is, for others have it."""
    kv = [(torch.zeros(2, 3), torch.ones(2, 3)) for _ in range(2)]
    fetcher = Fetcher(torch.device("cpu"))
    fetched = fetcher.read(kv, [Scripted("a", []), None])
    for layer in range(2):
        fetched.wait(layer)
    fetcher.stop()
    assert fetched.pairs[0][0] is kv[0][0]
    assert fetched.pairs[1][1] is not kv[1][1]
    assert torch.equal(fetched.pairs[1][1], kv[1][1])


def open_runner(lab: Any, path: Path, spec: str, **defaults: Any) -> Any:
    (parsed,) = parse_specs([spec], RunnerDefaults(**{"budget_bytes": 0, **defaults}))
    return build_runner(parsed, lab.model, disk=DiskStore(DiskSettings(path, PLENTY), pytest.fail))


def asked(lab: Any, text: str) -> Request:
    request: Request = lab.ask(text, lab.picture(0), lab.picture(1), "one", max_new_tokens=2)
    return request


@pytest.fixture(scope="module")
def whole(lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which two runners left what they know of two pictures."""
    path = tmp_path_factory.mktemp("whole")
    for spec in ("full-reuse", "prefix-cache"):
        assert open_runner(lab, path, spec).answer(asked(lab, "x ")).status is Status.OK
    return path


def same(first: Response, second: Response) -> bool:
    assert first.status is second.status is Status.OK, (first.error, second.error)
    assert first.first_logits is not None
    assert second.first_logits is not None
    return first.token_ids == second.token_ids and np.array_equal(first.first_logits, second.first_logits)


def flip(file: Path, layer: int) -> None:
    """Flip a bit in the middle of a layer."""
    with file.open("rb") as stream:
        description = read_description(stream)
        start = stream.tell() + description.nbytes - description.tensors[-1].nbytes
    data, size = bytearray(file.read_bytes()), description.tensors[-1].part_bytes
    data[start + layer * size + size // 2] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("layer", [0, 2, -1])
@pytest.mark.parametrize(("spec", "kind", "text"), [("full-reuse", "media", "y "), ("prefix-cache", "prefix", "x ")])
def test_damage_in_the_middle_of_a_request_changes_no_answer(
    lab: Any, whole: Path, tmp_path: Path, way: str, spec: str, kind: str, text: str, layer: int
) -> None:
    """The entry goes, is counted, and the request is answered as if it had not been there."""
    runners = {}
    for name in ("damaged", "without"):
        shutil.copytree(whole, tmp_path / name)
        runners[name] = open_runner(lab, tmp_path / name, spec)
    engine = runners["damaged"]._engine
    disk = engine._stores.disk
    (file, *_) = sorted((tmp_path / "damaged" / disk.scope).glob(f"{kind}-*.safetensors"))
    flip(file, layer % lab.model.adapter.shape.layers)
    (tmp_path / "without" / disk.scope / file.name).unlink()
    engine._stores.on_disk = lambda media, match: None  # one answer, timed once
    tries = []
    answer = engine._prefiller.answer

    def tried(*arguments: Any) -> Any:
        tries.append(disk.whole)
        return answer(*arguments)

    engine._prefiller.answer = tried
    found, expected = (runners[name].answer(asked(lab, text)) for name in ("damaged", "without"))
    assert same(found, expected)
    assert found.cache == expected.cache
    assert tries == [False, True]
    assert disk.store.counts.bad == 1
    assert not disk._reading
    again = open_runner(lab, tmp_path / "damaged", spec)
    assert again.answer(asked(lab, "again ")).status is Status.OK
    assert again._engine._stores.disk.store.counts.bad == 0


def test_a_file_that_is_cut_while_it_is_read_costs_the_entry_and_not_the_process(
    lab: Any, whole: Path, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mapped file would end the process with SIGBUS."""
    shutil.copytree(whole, tmp_path / "store")
    runner = open_runner(lab, tmp_path / "store", "full-reuse")
    disk = runner._engine._stores.disk
    (file, *_) = sorted((tmp_path / "store" / disk.scope).glob("media-*.safetensors"))
    read, cuts = StoredLayers.read, list[int]()

    def cut(self: StoredLayers, layer: int) -> Check:
        if layer == 1 and not cuts:
            os.truncate(file, 5000)
            cuts.append(layer)
        return read(self, layer)

    shutil.copytree(whole, tmp_path / "without")
    (tmp_path / "without" / disk.scope / file.name).unlink()
    expected = open_runner(lab, tmp_path / "without", "full-reuse").answer(asked(lab, "y "))
    monkeypatch.setattr(StoredLayers, "read", cut)
    assert same(runner.answer(asked(lab, "y ")), expected)
    assert disk.store.counts.bad == 1


def test_several_damaged_entries_cost_one_restart(lab: Any, whole: Path, tmp_path: Path, way: str) -> None:
    shutil.copytree(whole, tmp_path / "store")
    runner = open_runner(lab, tmp_path / "store", "full-reuse")
    disk = runner._engine._stores.disk
    for file in (tmp_path / "store" / disk.scope).glob("media-*.safetensors"):
        flip(file, 1)
    assert same(runner.answer(asked(lab, "y ")), lab.engine(lab.method("full-reuse")).answer(asked(lab, "y ")))
    assert disk.store.counts.bad == 2


def test_layers_are_used_before_the_last_is_read(
    lab: Any, whole: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last layer is not read before the first one was handed to the computing."""
    used, last = Event(), lab.model.adapter.shape.layers - 1
    read, layer_of = StoredLayers.read, KVBuffer.layer

    def gated(self: StoredLayers, layer: int) -> Check:
        assert layer < last or used.wait(SECONDS)
        return read(self, layer)

    def watched(self: KVBuffer, index: int) -> Any:
        found = layer_of(self, index)
        used.set()
        return found

    monkeypatch.setattr(StoredLayers, "read", gated)
    monkeypatch.setattr(KVBuffer, "layer", watched)
    runner = open_runner(lab, whole, "full-reuse")
    assert runner.answer(asked(lab, "y ")).cache.kv_hits == 2
    assert used.is_set()


def test_what_a_prefix_covers_is_not_read(lab: Any, tmp_path: Path) -> None:
    """And so it is not put into the host tier; what was read is."""
    spec = "vlcache@donor=template"
    open_runner(lab, tmp_path, spec).answer(asked(lab, "x "))
    runner = open_runner(lab, tmp_path, spec, host_budget_bytes=PLENTY)
    held = runner._engine._stores.tiers
    assert runner.answer(asked(lab, "x ")).cache.prefix_tokens
    assert [key.partition("/")[0] for key, _ in held.items()] == ["prefix"]
    assert runner.answer(asked(lab, "now ")).cache.loaded_tokens == 40
    media = [entry for _, entry in held.items() if isinstance(entry, MediaEntry)]
    assert len(media) == 2
    assert all(entry.unread is None and not entry.on_disk for entry in media)
