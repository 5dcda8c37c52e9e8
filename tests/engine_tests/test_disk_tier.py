"""The tier on disk: what was stored is found again, by other processes too, and changes no answer."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from runners.base import Response
from runners.defaults import RunnerDefaults
from runners.engine.store.disk.settings import DiskSettings
from runners.engine.store.disk.store import DiskStore
from runners.engine.store.symbols import SymbolTable
from runners.local import LocalRunner, build_runner
from runners.models.load import LoadedModel
from runners.records import Status
from runners.registry import parse_specs
from workloads.records import Message

PLENTY = 1 << 28

Open = Callable[..., Any]


@pytest.fixture
def told() -> list[str]:
    """What the disk tiers of a test say."""
    return []


@pytest.fixture
def runner(lab: Any, tmp_path: Path, told: list[str]) -> Open:
    """Makes a runner as a process of its own would have it: nothing shared but the directory."""

    def make(
        spec: str = "full-reuse",
        namespace: str = "default",
        disk_budget: int = PLENTY,
        model: LoadedModel | None = None,
        path: Path = tmp_path / "store",
        **defaults: Any,
    ) -> LocalRunner:
        (parsed,) = parse_specs([spec], RunnerDefaults(**{"budget_bytes": PLENTY, **defaults}))
        disk = DiskStore(DiskSettings(path, disk_budget, namespace), told.append)
        return build_runner(parsed, model or lab.model, disk=disk)

    return make


def counts(runner: LocalRunner) -> Any:
    disk = runner._engine._stores.disk
    assert disk is not None
    return disk.store.counts


def files(path: Path) -> list[Path]:
    return sorted(path.glob("store/*/*.safetensors"))


def same(first: Response, second: Response) -> bool:
    assert first.status is second.status is Status.OK, (first.error, second.error)
    assert first.first_logits is not None
    assert second.first_logits is not None
    return first.token_ids == second.token_ids and np.array_equal(first.first_logits, second.first_logits)


@pytest.mark.every_method(reuses=True)
def test_the_disk_changes_no_answer(lab: Any, runner: Open, name: str) -> None:
    """Entries from disk alone, those of another process, and those in memory give the same, to the last bit."""
    a, b, c = lab.picture(0), lab.picture(1), lab.moving(2)
    before = [lab.ask("x ", a, "one"), lab.ask(c, "and ", b)]
    after = [lab.ask("x ", a, "two"), lab.ask("now ", b, a, "which?"), lab.ask("again ", c, a)]
    settings: dict[str, Any] = {"recompute_ratio": 0.2}
    memory = lab.engine(lab.method(name, **settings))
    first = runner(name, **settings)
    for request in before:
        assert same(memory.answer(request), first.answer(request))
    disk_alone = runner(name, budget_bytes=0, **settings)
    assert all(same(memory.answer(request), disk_alone.answer(request)) for request in after)
    assert counts(disk_alone).read
    assert not counts(disk_alone).bad


def test_what_another_process_stored_is_found(lab: Any, runner: Open) -> None:
    request = lab.ask("x ", lab.picture(0), "one")
    cold = runner().answer(request)
    other = runner()
    warm = other.answer(lab.ask("y ", lab.picture(0), "one"))
    assert (cold.cache.kv_hits, warm.cache.kv_hits) == (0, 1)
    assert warm.timing.disk_ttft_ms > 0
    # it is on the device now, and is not read again
    read = counts(other).read
    other.answer(lab.ask("z ", lab.picture(0), "one"))
    assert counts(other).read == read


@pytest.mark.parametrize("reason", [errno.EMFILE, errno.ENOMEM])
def test_no_entry_is_bad_because_no_file_can_be_opened(
    lab: Any, runner: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    runner().answer(lab.ask("x ", lab.picture(0), "one"))
    before, other = files(tmp_path), runner()

    def refuse(*_: Any) -> int:
        raise OSError(reason, os.strerror(reason))

    with monkeypatch.context() as patch:
        patch.setattr("runners.engine.store.disk.folder.descend", refuse)
        cold = other.answer(lab.ask("y ", lab.picture(0), "one", max_new_tokens=1))
    assert (cold.status, cold.cache.kv_hits, counts(other).bad) == (Status.OK, 0, 0)
    assert set(before) <= set(files(tmp_path))


def test_prefixes_of_other_processes_are_found(lab: Any, runner: Open) -> None:
    """Also those that are stored after this process has looked, and whose media it met in another order."""
    here, there = runner("prefix-cache"), runner("prefix-cache")
    a, b = lab.picture(0), lab.picture(1)
    here.answer(lab.ask("first ", b, "?"))
    there.answer(lab.ask("x ", a, "one ", b, "?"))
    found = here.answer(lab.ask("x ", a, "one ", b, "another"))
    alone = lab.engine(lab.method("prefix-cache"))
    alone.answer(lab.ask("x ", a, "one ", b, "?"))
    expected = alone.answer(lab.ask("x ", a, "one ", b, "another"))
    assert found.cache.prefix_tokens == expected.cache.prefix_tokens > 20
    assert same(found, expected)


def test_a_longer_prefix_takes_the_place_of_a_shorter_one(lab: Any, runner: Open, tmp_path: Path) -> None:
    here = runner("prefix-cache")
    request = lab.ask("x ", lab.picture(0))
    for text in ("A", "A B", "A B C"):
        here.answer(replace(request, messages=(*request.messages, Message("assistant", (text,)))))
    assert len([file for file in files(tmp_path) if file.name.startswith("prefix")]) == 1


def test_a_reset_keeps_what_lies_on_disk(lab: Any, runner: Open) -> None:
    here = runner("prefix-cache")
    a, b = lab.picture(0), lab.picture(1)
    first = here.answer(lab.ask("x ", a, b, "one"))
    here.reset()
    here.answer(lab.ask(b, "first"))  # media are numbered in another order now
    again = here.answer(lab.ask("x ", a, b, "one"))
    assert again.cache.prefix_tokens == first.cache.prompt_tokens - 1
    assert again.token_ids == first.token_ids


def test_warm_up_leaves_no_trace(lab: Any, runner: Open, tmp_path: Path) -> None:
    here = runner("prefix-cache")
    here.answer(replace(lab.ask("x ", lab.picture(0)), leaves_no_trace=True))
    assert files(tmp_path) == []
    assert here.answer(lab.ask("x ", lab.picture(0))).cache.prefix_tokens


def test_nobody_else_is_served(lab: Any, lab_of: Any, runner: Open) -> None:
    """Not another namespace, runner, method, option, dtype or set of weights."""
    request = lab.ask("x ", lab.picture(0))
    assert runner().answer(request).cache.encoder_hits == 0
    assert runner().answer(request).cache.encoder_hits == 1
    strangers = [
        runner(namespace="other"),
        runner("full-reuse@name=b"),
        runner("full-reuse@rotate=false"),
        runner("encoder-cache"),
        runner(donor="template"),
        runner(model=replace(lab.model, fingerprint="0" * 64)),
    ]
    assert [stranger.answer(request).cache.encoder_hits for stranger in strangers] == [0] * len(strangers)


@pytest.mark.parametrize("method", ["full-reuse", "cacheblend"])
def test_packed_entries_are_smaller_and_answer_alike_from_host_and_disk(
    lab: Any, runner: Open, tmp_path: Path, method: str
) -> None:
    """8 bits on the host and on disk are the same 8 bits; exact prefixes stay exact."""
    before, after = (lab.ask(text, lab.picture(0), "one") for text in ("x ", "now "))
    plain = runner(method, path=tmp_path / "plain")
    expected = [plain.answer(request) for request in (before, after)][1]
    packed: dict[str, Any] = {"budget_bytes": 0, "store_dtype": "int8"}
    host = runner(method, path=tmp_path / "host", host_budget_bytes=PLENTY, **packed)
    from_host = [host.answer(request) for request in (before, after)][1]
    runner(method, **packed).answer(before)
    from_disk = runner(method, **packed).answer(after)
    assert from_disk.cache.kv_hits == from_host.cache.kv_hits == expected.cache.kv_hits == 1
    assert same(from_host, from_disk)
    lab.assert_equal(from_disk, expected, tolerance=0.3)  # of logits between -6 and 6, by random weights
    sizes = [sum(file.stat().st_size for file in (tmp_path / place).glob("*/media-*")) for place in ("store", "plain")]
    assert sizes[0] < 0.7 * sizes[1]
    assert runner(method, path=tmp_path / "plain", **packed).answer(before).cache.encoder_hits == 0


def test_files_are_the_owners_and_plain_safetensors(lab: Any, runner: Open, tmp_path: Path) -> None:
    runner("vlcache").answer(lab.ask("x ", lab.picture(0)))
    for file in files(tmp_path):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        with safe_open(file, "pt") as stored:
            layers, both, *_ = stored.get_tensor("kv").shape
            assert (layers, both) == (lab.model.adapter.shape.layers, 2)
    assert stat.S_IMODE((tmp_path / "store").stat().st_mode) == 0o700


def test_the_budget_holds_and_the_least_recently_used_go(lab: Any, runner: Open, tmp_path: Path) -> None:
    first = runner()
    first.answer(lab.ask("x ", lab.picture(0)))
    size = sum(file.stat().st_size for file in files(tmp_path))
    small = runner(disk_budget=int(3.5 * size))
    for seed in range(1, 4):
        small.answer(lab.ask("x ", lab.picture(seed)))
        small.reset()
        small.answer(lab.ask("y ", lab.picture(0)))
        os.sync()
        assert sum(file.stat().st_size for file in files(tmp_path)) <= 3.5 * size
    assert counts(small).evicted
    assert runner().answer(lab.ask("z ", lab.picture(0))).cache.kv_hits == 1  # in use all the time
    assert runner().answer(lab.ask("z ", lab.picture(1))).cache.kv_hits == 0


def test_an_entry_larger_than_the_budget_is_not_stored(lab: Any, runner: Open, tmp_path: Path) -> None:
    here = runner(disk_budget=1000)
    here.answer(lab.ask("x ", lab.picture(0)))
    assert here.answer(lab.ask("y ", lab.picture(0))).cache.kv_hits == 1
    assert files(tmp_path) == []


def test_a_read_only_disk_is_told_once(lab: Any, runner: Open, told: list[str], tmp_path: Path) -> None:
    here = runner()
    (tmp_path / "store").rmdir()
    (tmp_path / "store").write_bytes(b"")  # nobody, not even root, can make a file in it
    for seed in range(3):
        here.answer(lab.ask("x ", lab.picture(seed)))
    assert here.answer(lab.ask("y ", lab.picture(0))).cache.kv_hits == 1
    assert len(told) == 1
    assert "cannot be written to" in told[0]


@pytest.mark.parametrize("seed", range(5))
def test_symbols_are_the_same_after_a_journey(seed: int) -> None:
    rng = np.random.default_rng(seed)
    here, there = SymbolTable(), SymbolTable()
    sizes = {f"{number:064x}": int(rng.integers(1, 9)) for number in range(4)}
    pieces = {key: here.symbols(key, size) for key, size in sizes.items()}
    for key in reversed(sizes):
        there.symbols(key, sizes[key])
    order = [str(key) for key in rng.choice([*sizes], 3)]
    symbols = np.concatenate([np.arange(3), *(pieces[key] for key in order), np.arange(2)])[: -int(rng.integers(1, 5))]
    portable, media = here.portable(symbols)
    expected = np.concatenate([np.arange(3), *(there.symbols(key, sizes[key]) for key in order), np.arange(2)])
    assert np.array_equal(there.local(portable, media), expected[: len(symbols)])
    assert np.array_equal(here.local(portable, media), symbols)
    with pytest.raises(ValueError, match="not named"):
        there.local(portable, media[:-1])
    assert torch.from_numpy(portable).dtype is torch.int64
