"""Bad bytes on disk cost an entry and nothing else: found, removed, counted, computed again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runners.base import Response
from runners.defaults import RunnerDefaults
from runners.engine.store.disk.settings import DiskSettings
from runners.engine.store.disk.store import DiskStore
from runners.local import LocalRunner, build_runner
from runners.registry import parse_specs

SPEC = "vlcache@donor=template"  # donors with a probe, that depend on their medium alone
PLENTY = 1 << 28


@pytest.fixture(scope="module")
def damage(script_of: Callable[[str], ModuleType]) -> ModuleType:
    return script_of("store_damage")


def open_runner(lab: Any, path: Path) -> LocalRunner:
    (spec,) = parse_specs([SPEC], RunnerDefaults(budget_bytes=PLENTY))
    return build_runner(spec, lab.model, disk=DiskStore(DiskSettings(path, PLENTY), lambda text: pytest.fail(text)))


def ask(lab: Any, path: Path) -> tuple[list[Response], int]:
    """The answers of a new process to requests that together use every entry, and how many files it found bad.

    The prefix covers the media of the first, which are read for the second.
    """
    runner, media = open_runner(lab, path), (lab.picture(0), lab.picture(1))
    found = [runner.answer(lab.ask(text, *media, "two", max_new_tokens=1)) for text in ("x ", "now ")]
    disk = runner._engine._stores.disk
    assert disk is not None
    return found, disk.store.counts.bad


@pytest.fixture(scope="module")
def whole(lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that holds all that is asked for, and an entry of another runner."""
    path = tmp_path_factory.mktemp("whole")
    runner = open_runner(lab, path)
    runner.answer(lab.ask("x ", lab.picture(0), lab.picture(1), "one", max_new_tokens=1))
    return path


@pytest.fixture(scope="module")
def without(lab: Any, whole: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Response]]:
    """The answers over the store without one of its files, by the name of that file."""
    found = {}
    for file in sorted(whole.glob("*/*.safetensors")):
        path = tmp_path_factory.mktemp("without") / "store"
        shutil.copytree(whole, path)
        (path / file.parent.name / file.name).unlink()
        found[file.name], bad = ask(lab, path)
        assert not bad
    return found


@pytest.mark.parametrize("way", range(13))
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 2), seed=st.integers(0, 1 << 30))
def test_damage_is_as_if_the_file_were_not_there(
    lab: Any,
    damage: ModuleType,
    whole: Path,
    without: dict[str, list[Response]],
    tmp_path: Path,
    way: int,
    place: int,
    seed: int,
) -> None:
    path = tmp_path / "store"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(whole, path)
    file = sorted(path.glob("*/*.safetensors"))[place]
    damage.WAYS[way](file, np.random.default_rng(seed))
    found, bad = ask(lab, path)
    assert bad == 1
    for one, other in zip(found, without[file.name], strict=True):
        assert one.token_ids == other.token_ids
        assert one.first_logits is not None
        assert other.first_logits is not None
        assert np.array_equal(one.first_logits, other.first_logits)
    assert file.is_file() or not file.exists()  # what was not a file has gone, a computed entry may be there again
    assert not file.is_symlink()
    assert ask(lab, path)[1] == 0


def test_every_way_to_damage_is_tried(damage: ModuleType) -> None:
    assert len(damage.WAYS) == 13


def test_a_linked_scope_is_not_followed(lab: Any, whole: Path, tmp_path: Path) -> None:
    told: list[str] = []
    (scope,) = whole.iterdir()
    shutil.copytree(scope, tmp_path / "elsewhere")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / scope.name).symlink_to(tmp_path / "elsewhere")
    before = {file.name: file.read_bytes() for file in (tmp_path / "elsewhere").iterdir()}
    (spec,) = parse_specs([SPEC], RunnerDefaults(budget_bytes=PLENTY))
    runner: Any = build_runner(spec, lab.model, disk=DiskStore(DiskSettings(tmp_path / "store", PLENTY), told.append))
    assert runner.answer(lab.ask("y ", lab.picture(0))).cache.encoder_hits == 0
    assert runner.answer(lab.ask("z ", lab.picture(0))).cache.encoder_hits == 1
    assert {file.name: file.read_bytes() for file in (tmp_path / "elsewhere").iterdir()} == before
    assert len(told) == 1
