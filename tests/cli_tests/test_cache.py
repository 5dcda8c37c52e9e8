"""``vlcache cache`` lists, checks and clears a folder of entries, and touches nothing else in it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from runners.engine.store.disk.file import About, Description, StoredTensor, digest_of
from runners.engine.store.disk.folder import StoreFolder
from vlcache_cli.app import main


def write(folder: StoreFolder, number: int, namespace: str = "default", scope: str = "a" * 32) -> str:
    """Store an entry as the disk tier does; its file's name."""
    data, key = bytes([number]) * 64, f"{number:064x}"
    tensor = StoredTensor("features", "F32", (4, 4), (digest_of(data),))
    about = About(namespace, "tiny", "full-reuse", created=1e9)
    description = Description(scope, "media", key, about, {}, (tensor,))
    name = f"media-{key}.safetensors"
    folder.write(scope, name, [description.header(), data])
    return name


@pytest.fixture
def store(tmp_path: Path) -> StoreFolder:
    """Two entries of one namespace, one of another, and what is none."""
    folder = StoreFolder(tmp_path / "store")
    folder.make()
    write(folder, 1), write(folder, 2), write(folder, 3, "other", "b" * 32)
    for age, file in enumerate([*folder.files()]):
        os.utime(folder.path / file.scope / file.name, (age, age))
    folder.mark_used("a" * 32, f"media-{2:064x}.safetensors")
    (folder.path / "notes.txt").write_text("mine")
    (folder.path / ("a" * 32) / "README").write_text("mine")
    return folder


def call(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(["cache", *arguments]) == code
    return capsys.readouterr().out


def document(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    return json.loads(call(capsys, *arguments, "--json", code=code))


def damage(store: StoreFolder, number: int) -> Path:
    file = store.path / ("a" * 32) / f"media-{number:064x}.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    return file


def test_entries_are_listed_those_used_last_at_the_end(store: StoreFolder, capsys: pytest.CaptureFixture[str]) -> None:
    entries = document(capsys, "ls", "--store-dir", str(store.path))["entries"]
    assert [entry["hits"] for entry in entries] == [0, 0, 1]
    assert {entry["namespace"] for entry in entries} == {"default", "other"}
    assert {(entry["model"], entry["runner"], entry["kind"], entry["wrong"]) for entry in entries} == {
        ("tiny", "full-reuse", "media", None)
    }
    assert len(call(capsys, "ls", "--store-dir", str(store.path)).splitlines()) == 4
    assert len(document(capsys, "ls", "--store-dir", str(store.path), "--namespace", "other")["entries"]) == 1


def test_totals_are_by_owner(store: StoreFolder, capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, "info", "--store-dir", str(store.path))
    assert found["total"]["entries"] == sum(owner["entries"] for owner in found["owners"]) == 3
    assert found["total"]["nbytes"] == sum(file.nbytes for file in store.files())
    assert [owner["namespace"] for owner in found["owners"]] == ["default", "other"]
    assert re.search(r"all +3", call(capsys, "info", "--store-dir", str(store.path)))


def test_damage_is_found_and_can_be_cleared(store: StoreFolder, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--store-dir", str(store.path)]
    assert call(capsys, "verify", *where) == "3 entries checked, 0 damaged\n"
    file = damage(store, 1)
    assert "fails its checksum" in call(capsys, "verify", *where, code=4)
    assert [entry["file"] for entry in document(capsys, "verify", *where, code=4)["damaged"]] == [
        str(file.relative_to(store.path))
    ]
    assert file.exists()
    assert document(capsys, "clear", *where, "--damaged", "--yes")["removed"]["entries"] == 1
    assert call(capsys, "verify", *where) == "2 entries checked, 0 damaged\n"


def test_nothing_is_cleared_unasked(store: StoreFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "clear", "--store-dir", str(store.path)]) == 2
    said = capsys.readouterr().err
    assert re.search(r"would remove 3 entries, \d+\.\d KiB, used 1 times, in .*: add --yes\n$", said)
    assert len([*store.files()]) == 3


def test_a_namespace_is_cleared_alone_and_other_files_stay(
    store: StoreFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--store-dir", str(store.path)]
    call(capsys, "clear", *where, "--namespace", "default", "--yes")
    assert [file.scope for file in store.files()] == ["b" * 32]
    call(capsys, "clear", *where, "--yes")
    left = sorted(str(file.relative_to(store.path)) for file in store.path.rglob("*") if file.is_file())
    assert left == [f"{'a' * 32}/README", "notes.txt"]


@pytest.mark.parametrize("command", ["ls", "info", "verify", "clear"])
def test_a_folder_that_is_none_is_refused(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_bytes(b"")
    for name in ("file", "missing"):
        assert main(["cache", command, "--store-dir", str(tmp_path / name)]) == 2
        assert capsys.readouterr().err.count("\n") == 1
